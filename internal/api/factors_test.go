package api

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"redflag/internal/access"
	"redflag/internal/store"
)

// person adds one who signs in with a password, and gives what a request of his carries.
func (p *people) person(name string, role access.Role) func(*http.Request) {
	p.t.Helper()
	hash, err := access.HashPassword("correct horse")
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.store.NewUser(p.t.Context(), name, role, hash, time.Now()); err != nil {
		p.t.Fatal(err)
	}
	status, _, cookie := p.signIn(`{"name":"` + name + `","password":"correct horse"}`)
	if status != http.StatusOK {
		p.t.Fatalf("%s cannot sign in: %d", name, status)
	}
	return func(r *http.Request) { r.AddCookie(cookie) }
}

func (p *people) signIn(body string) (status int, answer string, cookie *http.Cookie) {
	p.t.Helper()
	var set *http.Cookie
	status, answer = p.ask("", "POST", "/session", body)
	if status == http.StatusOK {
		resp, err := http.Post(p.url+Prefix+"/session", "application/json", strings.NewReader(body))
		if err != nil {
			p.t.Fatal(err)
		}
		resp.Body.Close()
		if len(resp.Cookies()) > 0 {
			set = resp.Cookies()[0]
		}
	}
	return status, answer, set
}

func TestASecondFactorIsAskedForOnceItWasShown(t *testing.T) {
	p := newPeople(t)
	p.cfg.Server.Unlimited()
	anna := p.person("anna", access.Admin)
	status, body := p.ask("", "POST", "/me/totp", "", anna)
	var fresh access.NewTOTP
	if err := json.Unmarshal([]byte(body), &fresh); status != http.StatusOK || err != nil || fresh.Secret == "" {
		t.Fatalf("%d %s", status, body)
	}
	const password = `"name":"anna","password":"correct horse"`
	if status, _, _ := p.signIn(`{` + password + `}`); status != http.StatusOK {
		t.Error("a code is asked for that nobody has shown yet")
	}
	code := func(ago time.Duration) string {
		c, err := totp.GenerateCode(fresh.Secret, time.Now().Add(-ago))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if status, _ := p.ask("", "PUT", "/me/totp", `{"code":"000000","on":true}`, anna); status != http.StatusForbidden {
		t.Errorf("a wrong code turns it on: %d", status)
	}
	if status, body := p.ask("", "PUT", "/me/totp", `{"code":"`+code(30*time.Second)+`","on":true}`, anna); status != http.StatusNoContent {
		t.Fatalf("%d %s", status, body)
	}
	if status, body, _ := p.signIn(`{` + password + `}`); status != http.StatusUnauthorized || !strings.Contains(body, TypeCode) {
		t.Errorf("without a code: %d %s", status, body)
	}
	if status, body, _ := p.signIn(`{"name":"anna","password":"wrong horse"}`); status != http.StatusUnauthorized || strings.Contains(body, TypeCode) {
		t.Errorf("a wrong password is told that a code is needed: %d %s", status, body)
	}
	if status, _, _ := p.signIn(`{` + password + `,"code":"` + code(10*time.Minute) + `"}`); status != http.StatusUnauthorized {
		t.Errorf("an old code: %d", status)
	}
	now := code(0)
	if status, body := p.ask("", "POST", "/session", `{`+password+`,"code":"`+now+`"}`); status != http.StatusOK {
		t.Errorf("the right code: %d %s", status, body)
	}
	if status, _ := p.ask("", "POST", "/session", `{`+password+`,"code":"`+now+`"}`); status != http.StatusConflict {
		t.Errorf("the same code again: %d", status)
	}
	u, _, err := p.store.UserByName(t.Context(), "anna")
	if err != nil || !u.HasTOTP {
		t.Fatal(u, err)
	}
	if status, body := p.ask(access.ScopeAdmin, "PATCH", "/users/"+jsonText(u.ID), `{"no_totp":true}`); status != http.StatusOK {
		t.Errorf("an administrator helps: %d %s", status, body)
	}
	if status, _, _ := p.signIn(`{` + password + `}`); status != http.StatusOK {
		t.Error("a code is asked for after that")
	}
}

func jsonText(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// What a real authenticator signs is tried with a browser's; here is what must be refused.
func TestAPasskeyThatDoesNotFitIsRefused(t *testing.T) {
	p := newPeople(t)
	p.cfg.Server.Unlimited()
	anna := p.person("anna", access.Viewer)
	local := func(r *http.Request) { r.Host = "localhost:7443" }
	status, body := p.ask("", "POST", "/me/passkeys/challenge", "", anna, local)
	var c Challenge
	if err := json.Unmarshal([]byte(body), &c); status != http.StatusOK || err != nil || c.Challenge == "" || !strings.Contains(body, `"rp":{"name":"RedFlag","id":"localhost"}`) {
		t.Fatalf("%d %s", status, body)
	}
	for _, credential := range []string{`{}`, `null`, `"x"`, `{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"oA"}}`} {
		if status, body := p.ask("", "POST", "/me/passkeys", `{"challenge":"`+c.Challenge+`","name":"phone","credential":`+credential+`}`, anna, local); status < 400 || status >= 500 {
			t.Errorf("%s: %d %s", credential, status, body)
		}
	}
	if status, _ := p.ask("", "POST", "/me/passkeys", `{"challenge":"made up","name":"phone","credential":{}}`, anna, local); status != http.StatusConflict {
		t.Errorf("a challenge that nobody was given: %d", status)
	}
	if status, body := p.ask("", "POST", "/session/passkey", "", local); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	} else if err := json.Unmarshal([]byte(body), &c); err != nil {
		t.Error(err)
	}
	if status, body := p.ask("", "POST", "/session", `{"passkey":{"challenge":"`+c.Challenge+`","credential":{}}}`, local); status < 400 || status >= 500 {
		t.Errorf("%d %s", status, body)
	}
}

func TestWhoDidWhatIsNoted(t *testing.T) {
	p := newPeople(t)
	p.cfg.Server.Unlimited()
	anna := p.person("anna", access.Admin)
	id := p.host("web1")
	for _, c := range [][3]string{
		{"POST", "/groups", `{"name":"production","query":"env=prod"}`}, {"PUT", "/hosts/" + id.String() + "/labels", `{"labels":{"env":"test"}}`},
		{"POST", "/users", `{"name":"bert","role":"viewer","password":"secret horse"}`}, {"POST", "/hosts/" + id.String() + "/scan", `{}`},
		{"POST", "/groups", `{"name":"production","query":"env=prod"}`}, // it is taken
	} {
		p.ask("", c[0], c[1], c[2], anna)
	}
	p.signIn(`{"name":"mallory","password":"guess guess"}`)
	p.ask("", "DELETE", "/session", "", anna)
	status, body := p.ask(access.ScopeAdmin, "GET", "/deeds", "")
	var deeds listed[store.Deed]
	if err := json.Unmarshal([]byte(body), &deeds); status != http.StatusOK || err != nil {
		t.Fatalf("%d %s", status, body)
	}
	var got []string
	for _, d := range deeds.Items {
		got = append(got, d.Who+": "+d.What+": "+d.About)
		if d.Address != "127.0.0.1" {
			t.Errorf("from %q", d.Address)
		}
	}
	signedIn := "anna: Sign in: with a password"
	want := strings.Join([]string{
		"anna: Sign out: ", "mallory: Sign in: refused: ", "anna: Ask a host to look at itself now: web1 (" + id.String() + ")",
		"anna: Add a user: bert, viewer", "anna: Give a host these labels and no others: web1 (" + id.String() + "): env=test", "anna: Save a label query under a name: production: env=prod",
		signedIn, signedIn,
	}, "\n")
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	if strings.Contains(body, "secret horse") || strings.Contains(body, "guess guess") {
		t.Error("a password is in it")
	}
	if status, _ := p.ask(access.ScopeWrite, "GET", "/deeds", ""); status != http.StatusForbidden {
		t.Errorf("one who is no administrator reads it: %d", status)
	}
}

func TestAStreamEndsWithTheSession(t *testing.T) {
	p := newPeople(t)
	p.cfg.Server.Unlimited()
	p.heartbeat = 20 * time.Millisecond
	anna := p.person("anna", access.Viewer)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+Prefix+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	anna(req)
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	defer resp.Body.Close()
	p.ask("", "DELETE", "/session", "", anna)
	if _, err := io.ReadAll(resp.Body); err != nil { // without an end this test would have none
		t.Error(err)
	}
}
