//go:build !unix

package machine

import "errors"

// Space is not known here.
func (m *Machine) Space(string) (free int64, device uint64, err error) {
	return 0, 0, errors.ErrUnsupported
}
