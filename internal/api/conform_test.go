package api

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
)

// conform holds an answer to what the description of the API says of it.
func (p *people) conform(method, path string, status int, body string) {
	p.t.Helper()
	path, _, _ = strings.Cut(path, "?")
	op := p.operation(method, path)
	if op == nil {
		return
	}
	var schema *huma.Schema
	if answer := op.Responses[strconv.Itoa(status)]; answer != nil {
		for kind, media := range answer.Content {
			if strings.HasSuffix(kind, "json") {
				schema = media.Schema
			}
		}
		if schema == nil && body != "" && op.Method != "" {
			p.t.Errorf("%s %s: %d has a body that is not described: %s", method, path, status, body)
		}
	} else if status < http.StatusBadRequest {
		p.t.Errorf("%s %s: %d is not described", method, path, status)
	}
	if schema == nil || body == "" || status >= http.StatusBadRequest {
		return
	}
	var value any
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		p.t.Errorf("%s %s: %v in %s", method, path, err, body)
		return
	}
	res := &huma.ValidateResult{}
	huma.Validate(p.huma.OpenAPI().Components.Schemas, schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, value, res)
	for _, err := range res.Errors {
		p.t.Errorf("%s %s: %v", method, path, err)
	}
}

var placeholder = regexp.MustCompile(`\\\{[a-z]+\\\}`)

// operation finds what a request asks for.
func (p *people) operation(method, path string) *huma.Operation {
	var found *huma.Operation
	for template, item := range p.huma.OpenAPI().Paths {
		pattern := "^" + placeholder.ReplaceAllString(regexp.QuoteMeta(template), "[^/]+") + "$"
		if regexp.MustCompile(pattern).MatchString(path) && (found == nil || !strings.Contains(template, "{")) {
			found = map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete}[method]
		}
	}
	return found
}

func TestWhatIsNotAsDescribedIsSeen(t *testing.T) {
	inner := &testing.T{}
	p := newPeople(t)
	p.t = inner
	p.conform("GET", "/groups", http.StatusOK, `{"items":[{"id":"1","name":"a","query":"","created_at":"2026-03-02T12:00:00Z"}]}`)
	if !inner.Failed() {
		t.Error("a text for a number is as described")
	}
	p.t = t
	p.conform("GET", "/groups", http.StatusOK, `{"items":[{"id":1,"name":"a","query":"","created_at":"2026-03-02T12:00:00Z"}]}`)
}
