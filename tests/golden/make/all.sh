#!/bin/sh
# Remakes every golden file: sh all.sh (in an environment with requirements.txt installed). About a minute.
set -e
cd "$(dirname "$0")"
export PYTHONDONTWRITEBYTECODE=1
for topic in unet vae clip schedulers optimizers layers lr svd keys pipelines exports foreign text; do
  echo "== $topic"
  python "$topic.py"
done
echo "== tokenizer"
python tokenizer.py ../../../node_modules
