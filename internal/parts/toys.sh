# Builds the toy packages of the RPM world into /srv/toys/{base,updates,later}, each folder a repository. It runs in the root that has rpmbuild.
set -eu
top=/tmp/toys
mkdir -p $top/specs /srv/toys/base /srv/toys/updates /srv/toys/later

# toy REPOSITORY NAME EPOCH VERSION RELEASE ARCH [HEADER [SCRIPT [FILES]]]
# Who makes them is AlmaLinux, so that a test can have a machine whose distribution they are, unless the header names a vendor.
toy() {
	spec=$top/specs/$2-$4-$5.$6.spec
	cat >"$spec" <<end
Name: $2
Epoch: $3
Version: $4
Release: $5
Summary: Toy package $2
License: MIT
$(case "${7-}" in *Vendor:*) ;; *) echo "Vendor: AlmaLinux" ;; esac)
$([ "$6" != noarch ] || echo "BuildArch: noarch")
AutoReqProv: no
${7-}
%description
Toy package $2.
%install
mkdir -p %{buildroot}/usr/share/$2-$4-$5.$6 %{buildroot}/etc
echo "$2 $4-$5" >%{buildroot}/usr/share/$2-$4-$5.$6/readme
[ "$2" != toy-conf ] || echo "setting=$4" >%{buildroot}/etc/toy.conf
true
${8-}
%files
/usr/share/$2-$4-$5.$6
${9-}
end
	if ! rpmbuild --quiet --target "$6" --define "_topdir $top" --define "_rpmdir /srv/toys/$1" --define '_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
		--define '_binary_payload w1.gzdio' -bb "$spec" >$top/log 2>&1; then
		tail -n 20 $top/log
		exit 1
	fi
}

toy base toy-lib 0 1.0 1.el9 x86_64
toy base toy-lib 0 1.0 1.el9 i686
toy updates toy-lib 0 1.1 1.el9 x86_64
toy updates toy-lib 0 1.1 1.el9 i686
toy updates toy-lib 0 1.2 1.el9 x86_64
toy updates toy-lib 0 1.2 1.el9 i686
toy later toy-lib 0 1.3 1.el9 x86_64
toy later toy-lib 0 1.3 1.el9 i686
toy base toy-app 1 2.0 3.el9 x86_64 'Requires: toy-lib'
toy updates toy-app 1 2.1 1.el9 x86_64 'Requires: toy-lib >= 1.1
Requires: toy-brought'
toy updates toy-brought 0 0.5 1.el9 noarch
toy base toy-conf 0 1.0 1.el9 noarch '' '' '%config(noreplace) /etc/toy.conf'
toy updates toy-conf 0 2.0 1.el9 noarch '' '' '%config(noreplace) /etc/toy.conf'
toy base toy-post 0 1.0 1.el9 noarch
toy updates toy-post 0 2.0 1.el9 noarch '' '%post -p <lua>
error("the script of toy-post fails")'
toy base toy-pre 0 1.0 1.el9 noarch
toy updates toy-pre 0 2.0 1.el9 noarch '' '%pre -p <lua>
error("the script of toy-pre fails")'
toy base toy-slow 0 1.0 1.el9 noarch
toy updates toy-slow 0 2.0 1.el9 noarch '' '%post -p <lua>
io.open("/tmp/slow-began", "w"):close()
for i = 1, 600 do if posix.stat("/tmp/slow-ends") then break end posix.sleep(1) end'
toy base toy-old 0 1.0 1.el9 noarch
toy updates toy-replacement 0 3.0 1.el9 noarch 'Obsoletes: toy-old < 2
Provides: toy-old = 3.0'
toy base toy-held 0 1.0 1.el9 noarch
toy updates toy-held 0 1.5 1.el9 noarch
toy base toy-foreign 0 1.0 1.el9 noarch 'Vendor: Toys, Inc.'
toy updates toy-foreign 0 1.1 1.el9 noarch 'Vendor: Toys, Inc.'
toy base toy-stream 0 1.0 1.module_el9+1+aa noarch 'ModularityLabel: toys:1:9010020260101:aabbccdd'
toy updates toy-stream 0 1.1 1.module_el9+2+bb noarch 'ModularityLabel: toys:1:9010020260201:aabbccdd'
part='%package -n toy-part
Version: 7.0
Summary: A part of toy-sub with a version of its own
%description -n toy-part
A part of toy-sub.'
toy base toy-sub 0 3.0 1.el9 noarch "$part" '' '%files -n toy-part'
toy updates toy-sub 0 3.1 1.el9 noarch "$(echo "$part" | sed s/7.0/7.1/)" '' '%files -n toy-part'
toy base toy-broken 0 1.0 1.el9 noarch
toy updates toy-broken 0 2.0 1.el9 noarch 'Requires: nobody-has-this'
toy base openssh-server 0 9.0 1.el9 noarch
toy updates toy-ssh 0 1.0 1.el9 noarch 'Obsoletes: openssh-server'
for release in 1 2 3; do toy base kernel 0 5.14.0 $release.el9 x86_64 'Provides: multiversion(kernel)
Provides: installonlypkg(kernel)'; done
toy updates kernel 0 5.14.0 4.el9 x86_64 'Provides: multiversion(kernel)
Provides: installonlypkg(kernel)'

for dir in base updates later; do createrepo_c -q /srv/toys/$dir; done
cat >/tmp/updateinfo.xml <<'end'
<?xml version="1.0" encoding="UTF-8"?>
<updates>
  <update from="security@example.com" status="final" type="security" version="1">
    <id>TOYSA-2026:1001</id><title>Important: toy-lib security update</title>
    <issued date="2026-10-01 00:00:00"/><severity>Important</severity>
    <references>
      <reference href="https://example.com/TOYSA-2026:1001" id="TOYSA-2026:1001" type="self"/>
      <reference href="https://example.com/CVE-2026-11111" id="CVE-2026-11111" type="cve"/>
      <reference href="https://example.com/CVE-2026-11112" id="CVE-2026-11112" type="cve"/>
    </references>
    <pkglist><collection short="updates"><name>updates</name>
      <package name="toy-lib" epoch="0" version="1.1" release="1.el9" arch="x86_64"><filename>toy-lib-1.1-1.el9.x86_64.rpm</filename></package>
      <package name="toy-lib" epoch="0" version="1.1" release="1.el9" arch="i686"><filename>toy-lib-1.1-1.el9.i686.rpm</filename></package>
    </collection></pkglist>
  </update>
  <update from="security@example.com" status="final" type="bugfix" version="1">
    <id>TOYBA-2026:1002</id><title>toy-lib bug fix update</title><issued date="2026-10-10 00:00:00"/><severity>None</severity><references/>
    <pkglist><collection short="updates"><name>updates</name>
      <package name="toy-lib" epoch="0" version="1.2" release="1.el9" arch="x86_64"><filename>toy-lib-1.2-1.el9.x86_64.rpm</filename></package>
      <package name="toy-app" epoch="1" version="2.1" release="1.el9" arch="x86_64"><filename>toy-app-2.1-1.el9.x86_64.rpm</filename></package>
    </collection></pkglist>
  </update>
  <update from="security@example.com" status="final" type="security" version="1">
    <id>TOYSA-2026:1003</id><title>Critical: kernel security update</title><issued date="2026-10-11 00:00:00"/><severity>Critical</severity>
    <references><reference href="https://example.com/CVE-2026-22222" id="CVE-2026-22222" type="cve"/></references>
    <pkglist><collection short="updates"><name>updates</name>
      <package name="kernel" epoch="0" version="5.14.0" release="4.el9" arch="x86_64"><filename>kernel-5.14.0-4.el9.x86_64.rpm</filename><reboot_suggested>True</reboot_suggested></package>
    </collection></pkglist>
  </update>
</updates>
end
modifyrepo_c --mdtype=updateinfo /tmp/updateinfo.xml /srv/toys/updates/repodata >/dev/null
rm -rf $top /tmp/updateinfo.xml
