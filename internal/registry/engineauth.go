package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"

	"github.com/distribution/reference"
)

// EngineAuth gives the credentials for an image's registry as an engine wants them beside a pull (X-Registry-Auth); empty where there are none.
func (c *Client) EngineAuth(ctx context.Context, ref reference.Named) (string, error) {
	domain := reference.Domain(ref)
	cred, err := c.creds.find(ctx, domain)
	if err != nil || cred.none() {
		return "", err
	}
	address := domain
	if domain == "docker.io" {
		address = "https://index.docker.io/v1/"
	}
	data, err := json.Marshal(map[string]string{"username": cred.user, "password": cred.password, "identitytoken": cred.identity, "serveraddress": address})
	if err != nil {
		return "", err
	}
	return base64.URLEncoding.EncodeToString(data), nil
}
