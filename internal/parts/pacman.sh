# Makes the root $1 with pacman and toy packages, unless it is there. The marker comes last, so half a root is made anew.
test ! -e "$1.complete" || exit 0
rm -rf --one-file-system "$1"
export LC_ALL=C.UTF-8

# The programs, each with the libraries that it names.
mkdir -p "$1"/{etc/pacman.d/hooks,tmp,proc,dev,root,srv/toys,var/log,usr/bin,var/lib/pacman/{local,sync},var/cache/pacman/pkg}
chmod 1777 "$1/tmp"
mknod -m 666 "$1/dev/null" c 1 3
for link in bin sbin lib lib64; do [ -L /$link ] && cp -P /$link "$1/$link"; done
for program in pacman pacman-conf vercmp bash sh cat sha256sum mkdir rm wc env sleep touch ldconfig; do
	file=$(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v $program)
	for part in "$file" $(ldd "$file" 2>/dev/null | grep -o '/[^ ]*'); do
		to=$1$(realpath -m "$(dirname "$part")")/$(basename "$part")
		[ -e "$to" ] || { mkdir -p "${to%/*}" && cp -L "$part" "$to"; }
	done
done
echo 'root:x:0:0::/root:/bin/sh
nobody:x:65534:65534::/:/bin/sh' >"$1/etc/passwd"
echo 'root:x:0:
nogroup:x:65534:' >"$1/etc/group"
echo 'ID=toys' >"$1/etc/os-release"
echo 9 >"$1/var/lib/pacman/local/ALPM_DB_VERSION"
cat >"$1/etc/pacman.conf" <<end
[options]
Architecture = x86_64
SigLevel = Never
IgnorePkg = toy-ignored

[toys]
Server = file:///srv/toys/new
end

# toy FOLDER NAME VERSION [LINES OF .PKGINFO] [.INSTALL]
toy() {
	work=$(mktemp -d)
	mkdir -p "$work/usr/share/$2"
	echo "$2 $3" >"$work/usr/share/$2/version"
	if [ "$2" = toy-conf ]; then mkdir "$work/etc" && echo "setting=$3" >"$work/etc/toy.conf"; fi
	if [ "$2$3" = toy-clash2.0-1 ]; then echo clash >"$work/usr/share/clash"; fi
	printf '%s\n' "pkgname = $2" "pkgbase = ${2%-libs}" "pkgver = $3" "pkgdesc = The toy $2" "url = https://example.com" "builddate = 1793000000" \
		"packager = Toys <toys@example.com>" "size = 30100" "arch = x86_64" "license = MIT" ${4:+"$4"} >"$work/.PKGINFO"
	[ -z "${5:-}" ] || printf '%s\n' "$5" >"$work/.INSTALL"
	(cd "$work" && tar --owner=0 --group=0 -czf "$1/$2-$3-x86_64.pkg.tar.gz" .PKGINFO $(ls -A | grep -v .PKGINFO))
	rm -rf "$work"
}

toys=$1/srv/toys
mkdir -p "$toys"/{old,new,broken,conflict,clash,older,plain}
toy "$toys/old" toy-lib 1.0-1
toy "$toys/new" toy-lib 1.1-1
toy "$toys/old" toy-app 1:2.0-3 "depend = toy-lib"
toy "$toys/new" toy-app 1:2.1-1 "depend = toy-lib>=1.1
depend = toy-brought"
toy "$toys/new" toy-brought 0.5-1
toy "$toys/old" toy-conf 1.0-1 "backup = etc/toy.conf"
toy "$toys/new" toy-conf 2.0-1 "backup = etc/toy.conf"
toy "$toys/old" toy-ignored 1.0-1
toy "$toys/new" toy-ignored 1.5-1
toy "$toys/old" toy-old 1.0-1
toy "$toys/new" toy-replacement 3.0-1 "replaces = toy-old
conflict = toy-old
provides = toy-old=3.0"
toy "$toys/old" linux 6.10.1.arch1-1
toy "$toys/new" linux 6.11.2.arch1-1
toy "$toys/old" toy-script 1.0-1
toy "$toys/new" toy-script 2.0-1 "" "post_upgrade() { echo it fails; exit 3; }"
toy "$toys/old" toy-foreign 1.0-1
toy "$toys/old" toy-grouped 1.0-1 "group = toys"
toy "$toys/new" toy-grouped 1.1-1 "group = toys"
toy "$toys/old" openssh 1.0-1
toy "$toys/new" openssh 1.0-1
# What is wrong has a repository of its own.
toy "$toys/broken" toy-lib 1.2-1 "depend = nobody-has-this"
toy "$toys/conflict" toy-lib 1.2-1 "conflict = toy-conf"
toy "$toys/clash" toy-clash 2.0-1
toy "$toys/clash" toy-lib 1.2-1 "depend = toy-clash"
toy "$toys/older" toy-impostor 9.0-1 "replaces = openssh
conflict = openssh"
for folder in new broken conflict clash older; do
	name=toys
	[ $folder = new ] || name=$folder
	(cd "$toys/$folder" && repo-add -q "$name.db.tar.gz" *.pkg.tar.gz)
done
(cd "$toys/plain" && repo-add -q plain.db.tar.zst ../old/toy-lib*.pkg.tar.gz)
touch "$1.complete"
