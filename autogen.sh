#!/bin/sh
# Makes ./configure from configure.ac; needed once after a checkout.
cd "$(dirname "$0")" && exec autoreconf --install --force
