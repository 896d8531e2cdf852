//go:build !unix

package machine

// Holder is not known here.
func (m *Machine) Holder(string) string { return "" }
