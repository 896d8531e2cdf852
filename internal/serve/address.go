package serve

import (
	"context"
	"encoding/json"
	"fmt"

	"redflag/internal/store"
	"redflag/internal/wire"
)

// Address is how this fleet's server is reached and known. The running server keeps it in the database, for the commands that
// make tokens beside it.
type Address struct {
	URL string `json:"url"`
	// Fingerprint is that of the server's own authority, which tokens carry; empty where a public one vouches for the server.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Pin is the public key of its certificate, for the first download.
	Pin string `json:"pin,omitempty"`
}

const addressSetting = "address"

func saveAddress(ctx context.Context, s *store.Store, a Address) error {
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return s.SaveSetting(ctx, addressSetting, data)
}

// LoadAddress reads the address of the server that last ran on a database; the zero Address where none ever did.
func LoadAddress(ctx context.Context, s *store.Store) (Address, error) {
	var a Address
	data, err := s.Setting(ctx, addressSetting, func() ([]byte, error) { return []byte("{}"), nil })
	if err == nil {
		err = json.Unmarshal(data, &a)
	}
	return a, err
}

// Token gives an enrolment token as it is shown: the secret, and by whom the server is known.
func (a Address) Token(secret string) string { return wire.JoinToken(secret, a.Fingerprint) }

// Enroll is what a person types on a host that has the program.
func (a Address) Enroll(token string) string {
	return fmt.Sprintf("redflag agent enroll %s %s", a.URL, token)
}

// OneLiner is what a person pastes on a host to add it.
func (a Address) OneLiner(token string) string {
	if a.Pin != "" {
		// -k alone would believe anybody; with the pin, curl believes this one key and nobody else.
		return fmt.Sprintf("curl -fsSk --pinnedpubkey '%s' %s/install.sh | sudo sh -s -- %s", a.Pin, a.URL, token)
	}
	return fmt.Sprintf("curl -fsSL %s/install.sh | sudo sh -s -- %s", a.URL, token)
}
