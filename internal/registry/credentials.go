package registry

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	helper "github.com/docker/docker-credential-helpers/client"
	helpers "github.com/docker/docker-credential-helpers/credentials"
)

// credential is what a registry knows a person by. The zero value is nobody.
type credential struct {
	user, password string
	// identity is a refresh token, as `docker login` keeps for registries with OAuth.
	identity string
}

func (c credential) none() bool { return c == credential{} }

// credentials are those of `docker login`: config.json and the helpers that it names (docs.docker.com, docker login).
type credentials struct {
	auths       map[string]credential // by host
	credHelpers map[string]string
	credsStore  string
	// err is why config.json cannot be used. Registries are then asked anonymously, and it is told when one denies access.
	err error
}

// maxDockerConfig bounds config.json.
const maxDockerConfig = 4 << 20

// readCredentials reads config.json in a folder, and then files of `podman login`. No folder and no file mean no credentials.
func readCredentials(dir string, authFiles ...string) *credentials {
	c := &credentials{}
	if dir != "" {
		c = readCredentialFile(filepath.Join(dir, "config.json"))
	}
	for _, file := range authFiles {
		c.add(readCredentialFile(file))
	}
	return c
}

// add takes what another file has for registries for which there is nothing yet.
func (c *credentials) add(more *credentials) {
	if c.err == nil {
		c.err = more.err
	}
	for host, cred := range more.auths {
		if c.auths == nil {
			c.auths = map[string]credential{}
		}
		if _, known := c.auths[host]; !known {
			c.auths[host] = cred
		}
	}
	for host, name := range more.credHelpers {
		if c.credHelpers == nil {
			c.credHelpers = map[string]string{}
		}
		if _, known := c.auths[host]; !known && c.credHelpers[host] == "" {
			c.credHelpers[host] = name
		}
	}
}

func readCredentialFile(path string) *credentials {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &credentials{}
	}
	if err != nil {
		return &credentials{err: err}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxDockerConfig))
	if err != nil {
		return &credentials{err: err}
	}
	c, err := parseDockerConfig(data)
	if err != nil {
		return &credentials{err: fmt.Errorf("%s: %w", path, err)}
	}
	return c
}

// parseDockerConfig reads the part of config.json that holds credentials. An entry that cannot be read is passed over.
func parseDockerConfig(data []byte) (*credentials, error) {
	var j struct {
		Auths map[string]struct {
			Auth          string `json:"auth"`
			Username      string `json:"username"`
			Password      string `json:"password"`
			IdentityToken string `json:"identitytoken"`
		} `json:"auths"`
		CredHelpers map[string]string `json:"credHelpers"`
		CredsStore  string            `json:"credsStore"`
	}
	if err := json.Unmarshal(data, &j); err != nil {
		return nil, err
	}
	c := &credentials{auths: map[string]credential{}, credHelpers: map[string]string{}, credsStore: j.CredsStore}
	for key, a := range j.Auths {
		if isNamespace(key) {
			continue
		}
		cred := credential{user: a.Username, password: a.Password, identity: a.IdentityToken}
		if user, password, ok := decodeAuth(a.Auth); ok {
			cred.user, cred.password = user, password
		}
		if !cred.none() {
			c.auths[hostOfKey(key)] = cred
		}
	}
	for key, name := range j.CredHelpers {
		if isNamespace(key) {
			continue
		}
		c.credHelpers[hostOfKey(key)] = name
	}
	return c, nil
}

// isNamespace says whether a key is for a part of a registry alone (quay.io/me, containers-auth.json(5)), which is not told apart here: what is for a part is not sent
// to the rest of it.
func isNamespace(key string) bool {
	_, path, has := strings.Cut(key, "/")
	return has && !strings.Contains(key, "://") && path != "" && !strings.HasPrefix(path, "v1") && !strings.HasPrefix(path, "v2")
}

// LoggedIn names the registries that Docker's config.json in a folder, and files of `podman login`, have credentials for, sorted; "every registry" stands for a
// store of credentials. The error says why the file cannot be used.
func LoggedIn(dir string, authFiles ...string) ([]string, error) {
	c := readCredentials(dir, authFiles...)
	if c.err != nil {
		return nil, c.err
	}
	names := map[string]bool{}
	for host := range c.auths {
		names[host] = true
	}
	for host := range c.credHelpers {
		names[host] = true
	}
	if c.credsStore != "" {
		names["every registry (docker-credential-"+c.credsStore+")"] = true
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// decodeAuth reads base64 of user:password.
func decodeAuth(auth string) (user, password string, ok bool) {
	raw, err := base64.StdEncoding.DecodeString(auth)
	if err != nil {
		return "", "", false
	}
	user, password, ok = strings.Cut(string(raw), ":")
	return user, strings.TrimRight(password, "\x00"), ok && user != ""
}

// hostOfKey gives the registry of a key in config.json: keys are hosts, and older ones URLs with a path.
func hostOfKey(key string) string {
	key = strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	host, _, _ := strings.Cut(key, "/")
	return foldHub(host)
}

// find gives the credential for a registry: of its own helper, of the common one, of the file, in this order. None is no error;
// a helper that fails is.
func (c *credentials) find(ctx context.Context, registry string) (credential, error) {
	if name := c.credHelpers[registry]; name != "" {
		return askHelper(ctx, name, registry)
	}
	if c.credsStore != "" {
		cred, err := askHelper(ctx, c.credsStore, registry)
		if err != nil || !cred.none() {
			return cred, err
		}
	}
	return c.auths[registry], nil
}

// helperPatience is how long a credential helper may take: one that asks a person for a password never ends.
const helperPatience = 10 * time.Second

// askHelper runs docker-credential-NAME.
func askHelper(ctx context.Context, name, registry string) (credential, error) {
	program := "docker-credential-" + name
	if strings.ContainsAny(name, `/\`) {
		return credential{}, unknown(ErrDenied, "mend credHelpers or credsStore in Docker's config.json", "%q is no name of a credential helper", name)
	}
	ctx, cancel := context.WithTimeout(ctx, helperPatience)
	defer cancel()
	key := registry
	if registry == hub {
		key = hubKey
	}
	got, err := helper.Get(func(args ...string) helper.Program {
		return &helperProgram{cmd: exec.CommandContext(ctx, program, args...)}
	}, key)
	switch {
	case helpers.IsErrCredentialsNotFound(err):
		return credential{}, nil
	case err != nil:
		return credential{}, unknown(ErrDenied, "try it: `echo "+key+" | "+program+" get`", "the credential helper %s failed: %v", program, err)
	case got.Username == "<token>":
		return credential{identity: got.Secret}, nil
	}
	return credential{user: got.Username, password: got.Secret}, nil
}

// helperProgram is a credential helper bound to a context, which the library's own is not.
type helperProgram struct{ cmd *exec.Cmd }

// maxHelperOutput bounds what a helper says.
const maxHelperOutput = 1 << 20

// Output implements the library's Program.
func (p *helperProgram) Output() ([]byte, error) {
	var out bytes.Buffer
	p.cmd.Stdout = &limitedWriter{&out, maxHelperOutput}
	p.cmd.WaitDelay = time.Second
	err := p.cmd.Run()
	return out.Bytes(), err
}

// Input implements the library's Program.
func (p *helperProgram) Input(in io.Reader) { p.cmd.Stdin = in }

// limitedWriter fails past its bound, which ends the program that writes.
type limitedWriter struct {
	w    io.Writer
	left int
}

func (l *limitedWriter) Write(b []byte) (int, error) {
	if len(b) > l.left {
		return 0, errors.New("the output is too long")
	}
	l.left -= len(b)
	return l.w.Write(b)
}
