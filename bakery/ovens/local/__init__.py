"""The local oven: Packer and QEMU on this machine."""
