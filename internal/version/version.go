// Package version orders the versions of packages as each package manager orders its own: what is newer to dpkg need not be newer to rpm or to
// a person. It is pure (text in, an order out), so that who looks at a host and who keeps a fleet compare alike.
package version

// Compare orders two versions of one package as their source of updates does: order is -1, 0 or 1, as cmp.Compare gives it. It is not known
// for a source whose order is not told here, and order is then 0.
func Compare(source, a, b string) (order int, known bool) {
	switch source {
	case "apt":
		return CompareDebian(a, b), true
	case "dnf", "dnf5", "zypper":
		return CompareRPM(a, b), true
	default:
		return 0, false
	}
}
