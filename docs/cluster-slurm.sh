#!/bin/bash
# A grid on Slurm without anything installed beside g2d-bench: each task of the array runs its own share.
#   sbatch --array=1-8 docs/cluster-slurm.sh
# Where nodes share no disk, name a folder of each task's own (runs-$SLURM_ARRAY_TASK_ID) and merge at the end.
#SBATCH --job-name=g2d-bench
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --gpus=1
#SBATCH --time=08:00:00
#SBATCH --output=g2d-bench-%A-%a.log
#SBATCH --requeue

set -euo pipefail
export G2D_BENCH_DATA=/data/cxr

g2d-bench run --task all --seed 0-4 --shard auto --results runs
