pkg rquery -U %n	%v	%R FreeBSD-kernel-generic FreeBSD-openssl-lib
