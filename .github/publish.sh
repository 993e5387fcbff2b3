#!/usr/bin/env bash
# Put a built book on the branch gh-pages: at its root for the main branch, under versions/TAG for a tag.
# bash .github/publish.sh HTML_FOLDER, with GITHUB_REF_TYPE, GITHUB_REF_NAME and GITHUB_REPOSITORY as GitHub sets them;
# REMOTE is another address to push to.
set -euo pipefail
html=$(realpath "$1")
remote=${REMOTE:-https://x-access-token:${GH_TOKEN:-}@github.com/$GITHUB_REPOSITORY.git}
site=$(mktemp -d)
git -C "$site" init --quiet --initial-branch=gh-pages
git -C "$site" fetch --quiet --depth 1 "$remote" gh-pages && git -C "$site" reset --quiet --hard FETCH_HEAD || true
if [ "$GITHUB_REF_TYPE" = tag ]; then
    place=$site/versions/$GITHUB_REF_NAME
    rm -rf "$place"
else
    place=$site
    find "$site" -mindepth 1 -maxdepth 1 ! -name .git ! -name versions -exec rm -rf {} +
fi
mkdir -p "$place"
cp -R "$html/." "$place"
touch "$site/.nojekyll" # else Pages leaves out folders that begin with an underscore
git -C "$site" add --all
# One commit: old pages are found in the versions, not in the branch's history.
tree=$(git -C "$site" write-tree)
commit=$(git -C "$site" -c user.name=book -c user.email=book@localhost commit-tree "$tree" -m "The book at $GITHUB_REF_NAME")
git -C "$site" push --quiet --force "$remote" "$commit:refs/heads/gh-pages"
echo "The book of $GITHUB_REF_NAME: $(du -sh "$place" | cut -f 1)"
