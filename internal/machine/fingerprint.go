package machine

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"runtime"
	"strings"
)

// fingerprintLength is 128 bits in hexadecimal, as much as a machine's own ID has.
const fingerprintLength = 32

// Fingerprint tells one machine from another by 32 hexadecimal digits, the same ones after it was renamed or RedFlag was installed again. It
// is a keyed hash of the machine's own ID, which machine-id(5) calls confidential: the ID cannot be had from it. It is empty
// where a machine has no ID that can be read. Clones of one disk share it until
// somebody gives them IDs of their own.
func Fingerprint(m *Machine) string {
	id, ok := parseMachineID(m.machineID())
	if !ok {
		return ""
	}
	h := hmac.New(sha256.New, id) // as sd_id128_get_machine_app_specific(3) does
	h.Write([]byte("redflag"))
	return hex.EncodeToString(h.Sum(nil))[:fingerprintLength]
}

// machineID reads the first file there is. One that is there and has no ID decides too: an image that is to get its ID at the first start may
// have kept another machine's in the second place. The last is FreeBSD's, a UUID (rc.d/hostid);
// a Mac's is its hardware's.
func (m *Machine) machineID() string {
	switch runtime.GOOS {
	case "darwin":
		return m.macID()
	case "windows":
		return m.windowsID()
	}
	for _, file := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/hostid"} {
		if _, err := m.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			return m.line(file)
		}
	}
	return ""
}

// parseMachineID reads 32 hexadecimal digits, or a UUID; all zero is no ID (machine-id(5)).
func parseMachineID(s string) (id []byte, ok bool) {
	id, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	return id, err == nil && len(id) == fingerprintLength/2 && strings.Trim(s, "0-") != ""
}
