#!/bin/sh
# rungs: { description: "Give each note a file of its own", idempotent: true }
# Writes beside and renames, so that whoever looks sees all of it or nothing.
set -eu
cd data
case $1 in
  forward)
    rm -rf notes.new
    [ -f notes.txt ] || exit 0
    mkdir notes.new
    n=0
    while IFS= read -r note; do
      n=$((n + 1))
      printf '%s\n' "$note" > "notes.new/$(printf %03d $n).txt"
    done < notes.txt
    rm -rf notes
    mv notes.new notes
    printf '2\n' > FORMAT
    rm notes.txt
    ;;
  backward)
    [ -d notes ] || exit 0
    cat notes/*.txt > notes.txt.new
    mv notes.txt.new notes.txt
    printf '1\n' > FORMAT
    rm -r notes
    ;;
esac
