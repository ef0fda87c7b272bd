# Values in angle brackets are filled in by the test run.
cluster_name = "<name>"
project      = "<project>"
zone         = "<zone>"
controller_image = "<image>"
controller_machine_type = "n2-standard-8"
controller_disk_size_gb = 200
controller_disk_type    = "pd-balanced"
login_node_count = 0
compute_node_scopes          = [
  "https://www.googleapis.com/auth/cloud-platform"
]
partitions = [
  { name                 = "c2-standard-60"
    machine_type         = "c2-standard-60"
    image                = "<image>"
    max_node_count       = 4
    zone                 = "<zone>"
    compute_disk_size_gb = 80
    compute_labels       = {}
    gpu_type             = null
    gpu_count            = 0
    enable_placement     = false
  },
  { name                 = "c2-standard-60-compact"
    machine_type         = "c2-standard-60"
    image                = "<image>"
    max_node_count       = 16
    zone                 = "us-west1-a"
    compute_labels       = {}
    gpu_type             = null
    gvnic                = true
    enable_placement     = true
  },
  { name                 = "gpu"
    machine_type         = "n1-standard-16"
    image                = "<image>"
    max_node_count       = 2
    zone                 = "<zone>"
    gpu_type             = "nvidia-tesla-v100"
    gpu_count            = 2
    preemptible_bursting = true
  },
]
