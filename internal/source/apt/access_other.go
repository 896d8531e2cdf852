//go:build !unix

package apt

func writable(string) bool { return false }
