#!/bin/sh
# rbpf-pack on objects of clang -target bpf -mcpu=v2 (tests/unit/data): counter is examples/counter.c; call has a
# function that is not inlined, undefined an external variable, address a pointer in its data.
data=$srcdir/tests/unit/data
pack=examples/rbpf-pack
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

fail() {
	echo "FAIL: $1" >&2
	failed=1
}

# $1: object; $2: what the error must say
refuses() {
	"$pack" "$1" "$work/out" 2>"$work/error" && fail "$1 was packed"
	grep -q "^rbpf-pack: .*$2" "$work/error" || fail "$1: no \"$2\" in: $(cat "$work/error")"
}

"$pack" "$data/rbpf-counter.obj" "$work/counter" || fail "counter was not packed"
cmp "$work/counter" "$srcdir/tests/fuzz/corpus/rbpf/counter" || fail "counter differs"
refuses "$data/rbpf-call.obj" 'only calls by number exist: inline it'
refuses "$data/rbpf-undefined.obj" 'uses q, which is not defined'
refuses "$data/rbpf-address.obj" 'keeps the address of .data in its data'
refuses "$srcdir/tests/unit/test_rbpf_pack.sh" 'is not an object file of clang -target bpf'
refuses "$work/none" 'cannot be opened'
for size in 0 63 64 500 1000 1500 1680; do
	head -c "$size" "$data/rbpf-counter.obj" >"$work/cut"
	refuses "$work/cut" 'is not an object file\|malformed table of sections'
done
"$pack" "$data/rbpf-counter.obj" "$work/no/such/directory" 2>"$work/error" && fail 'wrote into nothing'
grep -q 'cannot be written' "$work/error" || fail "$(cat "$work/error")"
"$pack" 2>/dev/null
[ $? -eq 2 ] || fail 'no usage'
exit "$failed"
