CREATE TABLE images (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  digest TEXT NOT NULL,
  package TEXT NOT NULL,
  variant TEXT NOT NULL,
  candidate_for TEXT NOT NULL,
  created TEXT NOT NULL,
  family TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('ACTIVE', 'DEPRECATED', 'OBSOLETE', 'DELETED')),
  state_since TEXT NOT NULL,
  replacement TEXT NOT NULL,
  parent TEXT NOT NULL,
  proof TEXT NOT NULL CHECK (proof IN ('untested', 'passed', 'failed')),
  size INTEGER NOT NULL,
  bake_seconds REAL NOT NULL,
  labels TEXT NOT NULL,
  inputs TEXT NOT NULL,
  publication TEXT NOT NULL
);
CREATE INDEX images_by_digest ON images (digest);
CREATE INDEX images_by_family ON images (candidate_for);
CREATE INDEX images_by_promotion ON images (family);
CREATE TABLE families (
  family TEXT PRIMARY KEY,
  image TEXT NOT NULL UNIQUE REFERENCES images (name)
);
CREATE TABLE promotions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  family TEXT NOT NULL,
  image TEXT NOT NULL,
  previous TEXT NOT NULL,
  event TEXT NOT NULL CHECK (event IN ('promoted', 'given back', 'lost')),
  at TEXT NOT NULL
);
CREATE INDEX promotions_by_family ON promotions (family, image);
CREATE TABLE bakes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  image TEXT NOT NULL REFERENCES images (name),
  family TEXT NOT NULL,
  seconds REAL NOT NULL,
  at TEXT NOT NULL
);
CREATE TABLE proofs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  image TEXT NOT NULL REFERENCES images (name),
  tests_digest TEXT NOT NULL,
  proof TEXT NOT NULL,
  at TEXT NOT NULL
);
CREATE TABLE runs (
  run_id TEXT PRIMARY KEY,
  image TEXT NOT NULL,
  tests_digest TEXT NOT NULL,
  verdict TEXT NOT NULL,
  started TEXT NOT NULL,
  timings TEXT NOT NULL,
  failed_stage TEXT,
  reason TEXT NOT NULL,
  folder TEXT
);
CREATE INDEX runs_by_image ON runs (image, started);
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id TEXT NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  passed INTEGER NOT NULL,
  reason TEXT NOT NULL,
  given TEXT NOT NULL,
  figures TEXT NOT NULL,
  allocated_cpus INTEGER,
  allocated_gpus INTEGER,
  application_name TEXT,
  artifact_type TEXT,
  batch_options TEXT,
  benchmark_name TEXT,
  command_group TEXT,
  controller_machine_type TEXT,
  controller_disk_size_gb INTEGER,
  controller_disk_type TEXT,
  compact_placement INTEGER,
  gvnic INTEGER,
  filestore INTEGER,
  filestore_tier TEXT,
  filestore_capacity_gb INTEGER,
  lustre INTEGER,
  lustre_image TEXT,
  lustre_mds_node_count INTEGER,
  lustre_mds_machine_type TEXT,
  lustre_mds_boot_disk_type TEXT,
  lustre_mds_boot_disk_size_gb INTEGER,
  lustre_mdt_disk_type TEXT,
  lustre_mdt_disk_size_gb INTEGER,
  lustre_mdt_per_mds INTEGER,
  lustre_oss_node_count INTEGER,
  lustre_oss_machine_type TEXT,
  lustre_oss_boot_disk_type TEXT,
  lustre_oss_boot_disk_size_gb INTEGER,
  lustre_ost_disk_type TEXT,
  lustre_ost_disk_size_gb INTEGER,
  lustre_ost_per_oss INTEGER,
  compiler TEXT,
  target_arch TEXT,
  execution_command TEXT,
  build_id TEXT,
  machine_type TEXT,
  gpu_type TEXT,
  gpu_count INTEGER,
  node_count INTEGER,
  datetime TEXT,
  exit_code INTEGER,
  git_sha TEXT,
  max_memory_gb REAL,
  stderr TEXT,
  stdout TEXT,
  partition TEXT,
  runtime REAL,
  vm_image TEXT,
  ntasks INTEGER,
  UNIQUE (run_id, position)
);
CREATE VIEW app_runs AS SELECT allocated_cpus, allocated_gpus, application_name, artifact_type, batch_options, benchmark_name, command_group, controller_machine_type, controller_disk_size_gb, controller_disk_type, compact_placement, gvnic, filestore, filestore_tier, filestore_capacity_gb, lustre, lustre_image, lustre_mds_node_count, lustre_mds_machine_type, lustre_mds_boot_disk_type, lustre_mds_boot_disk_size_gb, lustre_mdt_disk_type, lustre_mdt_disk_size_gb, lustre_mdt_per_mds, lustre_oss_node_count, lustre_oss_machine_type, lustre_oss_boot_disk_type, lustre_oss_boot_disk_size_gb, lustre_ost_disk_type, lustre_ost_disk_size_gb, lustre_ost_per_oss, compiler, target_arch, execution_command, build_id, machine_type, gpu_type, gpu_count, node_count, datetime, exit_code, git_sha, max_memory_gb, stderr, stdout, partition, runtime, vm_image, ntasks FROM jobs WHERE command_group IS NOT NULL AND execution_command IS NOT NULL AND build_id IS NOT NULL AND datetime IS NOT NULL AND exit_code IS NOT NULL AND git_sha IS NOT NULL;
