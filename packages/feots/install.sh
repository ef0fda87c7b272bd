#!/bin/bash
# After spack-install.sh: FEOTS itself, at the commit FEOTS_REF, against NetCDF and HDF5 of the environment.
set -euo pipefail

: "${FEOTS_REF:?}"
source=${FEOTS_SOURCE:-https://github.com/FluidNumerics/FEOTS.git}
view=$INSTALL_ROOT/view
prefix=$INSTALL_ROOT/feots
export DEBIAN_FRONTEND=noninteractive

apt-get -qq update
apt-get -qq -o Dpkg::Use-Pty=0 install --yes --no-install-recommends autoconf automake libtool
apt-get -qq clean

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
git -C "$build" init -q
git -C "$build" fetch -q --depth 1 "$source" "$FEOTS_REF"
git -C "$build" checkout -q FETCH_HEAD
cd "$build"
export PATH=$view/bin:$PATH LD_LIBRARY_PATH=$view/lib
autoreconf --install
# gfortran 10 and later take the mixed calls of older Fortran only when told to.
FCFLAGS="-O3 -ffree-line-length-none -fallow-argument-mismatch -I$view/include" \
  LDFLAGS="-L$view/lib -Wl,-rpath,$view/lib" ./configure --enable-mpi --prefix="$prefix"
make # its modules depend on each other in ways the makefile does not say: no -j
make install
cat >/etc/profile.d/z11_feots.sh <<END
export PATH=$prefix/bin:\$PATH
END
"$prefix/bin/feots" --help | grep -i popmesh
