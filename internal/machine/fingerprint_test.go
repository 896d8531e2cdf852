package machine

import "testing"

func TestAFingerprintIsAHashOfTheMachinesOwnID(t *testing.T) {
	// printf redflag | openssl dgst -sha256 -mac HMAC -macopt hexkey:0123456789abcdef0123456789abcdef
	const id, other, want = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210", "d074e8b63da889279ec78f0012ce5453"
	for name, c := range map[string]struct {
		want  string
		files map[string]string
	}{
		"no ID":            {"", nil},
		"an ID":            {want, map[string]string{"/etc/machine-id": id + "\n", "/var/lib/dbus/machine-id": other + "\n"}},
		"without its end":  {want, map[string]string{"/etc/machine-id": id}},
		"D-Bus's":          {want, map[string]string{"/var/lib/dbus/machine-id": id + "\n"}},
		"FreeBSD's":        {want, map[string]string{"/etc/hostid": "01234567-89ab-cdef-0123-456789abcdef\n"}},
		"an image":         {"", map[string]string{"/etc/machine-id": "", "/var/lib/dbus/machine-id": id + "\n"}},
		"the first start":  {"", map[string]string{"/etc/machine-id": "uninitialized\n"}},
		"too short":        {"", map[string]string{"/etc/machine-id": id[1:] + "\n"}},
		"too long":         {"", map[string]string{"/etc/machine-id": id + "0\n"}},
		"no digits":        {"", map[string]string{"/etc/machine-id": "g" + id[1:] + "\n"}},
		"zero":             {"", map[string]string{"/etc/machine-id": "00000000000000000000000000000000\n"}},
		"Linux's hostid":   {"", map[string]string{"/etc/hostid": "\x01\x02\x7f\x00"}},
		"no end in sight":  {"", map[string]string{"/etc/machine-id": string(make([]byte, maxFact+1))}},
		"a folder instead": {"", map[string]string{"/etc/machine-id/x": id}},
	} {
		if got := Fingerprint(withFiles(t, c.files)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
