#!/usr/bin/env bash
# make mutants: takes out one guard at a time, in a copy of the tree, and runs the test that must notice. A mutant that its
# test lets pass is a failure, and so is an edit that finds nothing to change or a mutant that does not compile: each
# would prove nothing. Which test catches which guard, and why it matters, is in tests/README.md.
#
# run.sh [NAME...]: these mutants only.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/mutants/guards.sh

root=$PWD
tree=$root/target/mutants/tree
logs=$root/target/mutants/logs
export CARGO_TARGET_DIR=$root/target/mutants/target RUST_BACKTRACE=0
mkdir -p "$tree" "$logs"

# The tree as it is here, committed or not. A file that a mutant has changed comes back with a new time, for cargo goes
# by times.
restore() {
  git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    [[ -e $file ]] || continue
    cmp -s "$file" "$tree/$file" && continue
    mkdir -p "$tree/$(dirname "$file")"
    cp "$file" "$tree/$file"
  done
  for modules in engine/bridge simulator/conformance; do
    [[ -e $tree/$modules/node_modules ]] || ln -s "$root/$modules/node_modules" "$tree/$modules/node_modules"
  done
}

# edit FILES FROM TO: literal text, in every file that has it; at least one must.
edit() {
  local files=$1 from=$2 to=$3 changed=0 file
  for file in $files; do
    grep -qF -- "$from" "$file" || continue
    FROM=$from TO=$to perl -0pi -e 's/\Q$ENV{FROM}\E/$ENV{TO}/g' "$file"
    changed=1
  done
  ((changed)) || { echo "no file of $files has: $from"; return 1; }
}

# The tests pass on the tree as it is: else a failure below would say nothing.
sound() {
  (cd "$tree" && eval "$1") >"$logs/$2.sound.log" 2>&1
}

try() {
  local name=$1 log=$logs/$1.log
  restore
  if ! sound "${test_of[$name]}" "$name"; then
    echo "BROKEN   $name: its test fails on the tree as it is; see $logs/$name.sound.log"
    return 1
  fi
  (cd "$tree" && "mutate_$name") || { echo "BROKEN   $name: the edit does not apply"; return 1; }
  if (cd "$tree" && eval "${test_of[$name]}") >"$log" 2>&1; then
    echo "SURVIVED $name: ${test_of[$name]}"
    return 1
  fi
  if ! grep -qE '^test result: FAILED|panicked at' "$log"; then
    echo "BROKEN   $name: the mutant did not run; see $log"
    return 1
  fi
  echo "caught   $name: $(grep -E '^test .*FAILED|^    [a-z_:]+$' "$log" | sort -u | head -3 | tr -s ' \n' ' ')"
}

names=("$@")
((${#names[@]})) || names=("${guards[@]}")
failed=0
for name in "${names[@]}"; do
  try "$name" || failed=1
done
restore
exit $failed
