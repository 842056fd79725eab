#!/usr/bin/env bash
# Fetch fonts that `edge` learns from besides those of the system: `train/fetch_fonts.sh FOLDER`. Icon fonts, and fonts that imitate
# handwriting, all under open licences, from npm and PyPI (needs npm and pip); pinned, 34 MB of icons and 6 MB of handwriting.
set -euo pipefail
if [ $# -ne 1 ]; then
    echo "usage: train/fetch_fonts.sh FOLDER   (then give it to --fonts beside the system's fonts)" >&2
    exit 2
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

icons=(
    @tabler/icons-webfont@3.49.0 @phosphor-icons/web@2.1.2 material-icons@1.13.14 bootstrap-icons@1.13.2 remixicon@4.6.0
    lucide-static@1.62.0 @mdi/font@7.4.47 @fortawesome/fontawesome-free@6.7.2 line-awesome@1.3.0 ionicons@4.6.3 boxicons@2.1.4
    jam-icons@2.0.0 eva-icons@1.1.3 simple-line-icons@2.5.5 mono-icons@1.3.1 material-design-iconic-font@2.2.0
)
hands=(
    amatic-sc annie-use-your-telescope architects-daughter bad-script caveat caveat-brush cedarville-cursive coming-soon
    courgette covered-by-your-grace crafty-girls damion dawning-of-a-new-day dekko delius edu-sa-beginner gaegu
    gamja-flower give-you-glory gloria-hallelujah gochi-hand grape-nuts handlee hi-melody homemade-apple indie-flower
    itim just-another-hand kalam kristi la-belle-aurore loved-by-the-king mali mansalva marck-script nanum-brush-script
    nanum-pen-script nerko-one neucha nothing-you-could-do over-the-rainbow pacifico pangolin patrick-hand
    permanent-marker playpen-sans rancho reenie-beanie rock-salt sacramento satisfy schoolbell sedgwick-ave
    shadows-into-light shantell-sans short-stack sriracha sue-ellen-francisco swanky-and-moo-moo the-girl-next-door
    waiting-for-the-sunrise walter-turncoat yellowtail zeyada
)

unpack() { # PACKAGE PATTERN...: what is read of an npm package: fonts, what names and describes them
    local name
    name=$(echo "${1%@*}" | tr -d @ | tr / -)
    [ -d "$folder/$name" ] && return
    (cd "$work" && rm -rf package ./*.tgz && npm pack --silent "$1" > /dev/null && mkdir package && tar xzf ./*.tgz -C package)
    (cd "$work/package" && find . -type f ! -name '*.ttf' ! -name "$2" ! -name '*.css' ! -name '*.json' ! -iname 'licen[cs]e*' -delete)
    mv "$work/package" "$folder/$name"
    echo "$name"
}

for package in "${icons[@]}"; do unpack "$package" '*.woff'; done
for package in "${hands[@]}"; do unpack "@fontsource/$package@5.3.0" '*-latin-400-normal.woff'; done
if [ ! -d "$folder/fluent" ]; then
    pip download --quiet --no-deps --dest "$work" tkinter-icons-fluent==1.1.1
    python -m zipfile -e "$work"/tkinter_icons_fluent-*.whl "$folder/fluent"
    echo fluent
fi
