"""The local back end: Packer, QEMU and a library of files on this machine."""
