# Shared by the scripts here; sourced, not run. Debian and its derivatives only: packages come from the machine's own
# apt sources, and nothing else is downloaded.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# What it takes to build, to run the demo, and to test. One package a word.
BUILD_PACKAGES="gcc g++ make autoconf automake pkg-config libc6-dev
    libuv1-dev libcoap3-dev libmicrohttpd-dev libgnutls28-dev libjansson-dev libssl-dev libsqlite3-dev libcbor-dev uthash-dev
    libinih-dev libcurl4-openssl-dev libmosquitto-dev libqrencode-dev zlib1g-dev libncurses-dev
    libsystemd-dev check wabt python3 python3-yaml python3-cryptography"
DEMO_PACKAGES="clang lld llvm curl jq mosquitto mosquitto-clients sqlite3 procps"
TEST_PACKAGES="clang-format clang-tidy cppcheck fish groff libcoap3-bin libengine-pkcs11-openssl libtool
    libtss2-tcti-swtpm0 mosquitto mosquitto-clients openssl softhsm2 swtpm tpm2-openssl tpm2-tools tshark valgrind wrk
    python3-jsonschema xz-utils zsh"

say() {
    printf '\033[1m==>\033[0m %s\n' "$*"
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "packages are missing and this is neither root nor is sudo there; run as root: $*"
    fi
}

package_is_installed() {
    dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

# Installs those of the named packages that are missing; silent and quick when all are there.
install_packages() {
    local wanted missing=""
    command -v apt-get >/dev/null || fail "this system has no apt-get; it must be Debian or one of its derivatives"
    for wanted in "$@"; do
        package_is_installed "$wanted" || missing="$missing $wanted"
    done
    [ -n "$missing" ] || return 0
    say "installing:$missing"
    as_root apt-get update -q >/dev/null || fail "apt-get update failed"
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/dev/null ||
        fail "apt-get could not install:$missing"
}

# The package with clang's runtime (sanitizers, libFuzzer) carries clang's version in its name.
install_clang_runtime() {
    local version
    version=$(clang -dumpversion) || fail "clang does not run"
    install_packages "libclang-rt-${version%%.*}-dev"
}

# configure_in DIR OPTION...: configures a build directory unless it is configured with these options already.
configure_in() {
    local dir=$1
    shift
    [ configure -nt configure.ac ] 2>/dev/null || { say "making ./configure"; ./autogen.sh >/dev/null 2>&1 || ./autogen.sh; }
    mkdir -p "$dir"
    if [ ! -f "$dir/Makefile" ] || [ "$(cat "$dir/.options" 2>/dev/null)" != "$*" ]; then
        say "configuring $dir ${*:+($*)}"
        (cd "$dir" && "$TOP/configure" -q "$@") || fail "configure failed; see $dir/config.log"
        echo "$*" >"$dir/.options"
    fi
}

# Builds the programs in build/.
build() {
    cd "$TOP"
    configure_in build --enable-werror
    say "building in build/"
    make -s -C build -j"$(nproc)" all || fail "the build failed"
}
