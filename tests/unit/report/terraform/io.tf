# The shapes of rcc-tf's variables that the bakery gives, and one of each kind that it leaves to the configuration.
variable "cluster_name" { type = string }
variable "project" { type = string }
variable "zone" { type = string }

variable "controller_image" {
  type    = string
  default = "projects/example/global/images/family/controller"
}

variable "login_image" {
  type    = string
  default = "projects/example/global/images/family/login"
}

variable "login_node_count" {
  default = 1
}

variable "controller_labels" {
  type    = any
  default = null
}

variable "compute_node_scopes" {
  type    = list(string)
  default = ["https://www.googleapis.com/auth/logging.write"]
}

variable "partitions" {
  description = "One entry for each Slurm partition"
  type = list(object({
    name                 = string,
    machine_type         = string,
    max_node_count       = number,
    zone                 = string,
    image                = string,
    image_hyperthreads   = bool,
    compute_disk_type    = string,
    compute_disk_size_gb = number,
    compute_labels       = any,
    cpu_platform         = string,
    gpu_type             = string,
    gpu_count            = number,
    gvnic                = bool,
    network_storage = list(object({
      server_ip     = string,
      remote_mount  = string,
      local_mount   = string,
      fs_type       = string,
      mount_options = string
    })),
    preemptible_bursting = bool,
    vpc_subnet           = string,
    exclusive            = bool,
    enable_placement     = bool,
    regional_capacity    = bool,
    regional_policy      = any,
    instance_template    = string,
    static_node_count    = number
  }))
}
