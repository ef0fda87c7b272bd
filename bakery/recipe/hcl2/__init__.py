"""HCL2 templates: their expressions evaluated, and the template model that ``packer.json`` gives, too."""
