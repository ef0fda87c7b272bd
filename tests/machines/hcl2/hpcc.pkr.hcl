packer {
  required_plugins {
    googlecompute = {
      source  = "github.com/hashicorp/googlecompute"
      version = ">= 1.2"
    }
  }
}

locals {
  tools = ["apt-install.sh"]
  settings = {
    PROJECT_ID   = var.project_id
    INSTALL_ROOT = var.install_root
    IMAGE_NAME   = var.source_image_family
  }
  order = ["PROJECT_ID", "INSTALL_ROOT", "IMAGE_NAME"]
}

source "googlecompute" "hpcc" {
  project_id                  = var.project_id
  source_image_family         = var.source_image_family
  source_image_project_id     = [var.source_image_project]
  machine_type                = var.machine_type
  disk_size                   = 20
  disk_type                   = "pd-ssd"
  zone                        = var.zone
  subnetwork                  = var.subnet
  image_family                = var.image_family
  image_name                  = var.image_name
  tags                        = ["image-bakery"]
  omit_external_ip            = true
  use_internal_ip             = true
  use_iap                     = true
  enable_secure_boot          = true
  enable_vtpm                 = true
  enable_integrity_monitoring = true
  scopes                      = ["https://www.googleapis.com/auth/devstorage.read_only"]
  ssh_username                = "packer"
  metadata = {
    block-project-ssh-keys = "true"
    enable-oslogin         = "false"
  }
}

build {
  sources = ["source.googlecompute.hpcc"]

  dynamic "provisioner" {
    labels   = ["file"]
    for_each = local.tools
    content {
      source      = "${var.common_path}/rcc/${provisioner.value}"
      destination = "/tmp/${provisioner.value}"
    }
  }

  provisioner "shell" {
    environment_vars = [for name in local.order : "${name}=${local.settings[name]}"]
    execute_command  = "{{ .Vars }} sudo -E bash '{{ .Path }}'"
    script           = "${var.pkg_path}/install.sh"
  }
}
