package advisory

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/version"
)

// maxCatalogue bounds the feeds that are read as a whole: the largest, of Arch and of what is exploited, have 2 MB.
const maxCatalogue = 32 << 20

// atOnce bounds a stream that is read as a whole.
func atOnce(r io.Reader) io.Reader {
	return &capped{r: r, left: maxCatalogue, over: refused("it has over %d MB, and no such feed has", maxCatalogue>>20)}
}

// branchName is a release of Alpine as its database names it.
var branchName = regexp.MustCompile(`^(?:v[0-9]+\.[0-9]+|edge)$`)

// parseSecDB reads Alpine's database of one repository of one release (secdb.alpinelinux.org/v3.20/main.json): which version of an origin mended which flaws. It
// knows of no flaw that is not mended yet.
func parseSecDB(r io.Reader) (*parsed, error) {
	var db struct {
		Branch     string `json:"distroversion"`
		Repository string `json:"reponame"`
		Packages   []struct {
			Package struct {
				Name  string                     `json:"name"`
				Fixes map[string]json.RawMessage `json:"secfixes"`
			} `json:"pkg"`
		} `json:"packages"`
	}
	if err := json.NewDecoder(atOnce(r)).Decode(&db); err != nil {
		return nil, fmt.Errorf("read Alpine's database: %w", err)
	}
	if !branchName.MatchString(db.Branch) || db.Repository == "" || len(db.Repository) > maxName {
		return nil, refused("it is of the release %q and the repository %q, which are none of Alpine's", fleet.Plain(db.Branch), fleet.Plain(db.Repository))
	}
	p := newParsed(SecDB, fmt.Sprintf("%s:%s/%s", SecDB, db.Branch, fleet.Plain(db.Repository)))
	for _, one := range db.Packages {
		name := one.Package.Name
		if name == "" || len(name) > maxName {
			p.Skipped[skipMalformed]++
			continue
		}
		p.Records++
		if err := p.fixes("Alpine:"+db.Branch, name, one.Package.Fixes); err != nil {
			return nil, err
		}
	}
	if p.Rows == 0 {
		return nil, refused("there are no flaws in it")
	}
	return p, nil
}

// fixes adds what versions of one origin mend. A flaw that is named twice was not mended at first. The version 0 is of those that it never had.
func (p *parsed) fixes(ecosystem, name string, fixes map[string]json.RawMessage) error {
	mended := map[string]string{}
	for fixed, list := range fixes {
		var texts []string
		if json.Unmarshal(list, &texts) != nil || fixed == "" || len(fixed) > maxName {
			p.Skipped[skipMalformed]++
			continue
		}
		for _, id := range identifiers(texts) {
			if before, ok := mended[id]; !ok || before == "0" || fixed != "0" && version.CompareAPK(before, fixed) < 0 {
				mended[id] = fixed
			}
		}
	}
	for _, id := range sortedKeys(mended) {
		r := rule{ID: id, Introduced: "0", Fixed: mended[id]}
		if r.Fixed == "0" {
			r.Not, r.Fixed = true, ""
		}
		if err := p.add(ecosystem, name, &r); err != nil {
			return err
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// identifier is the name of a flaw: CVE-2024-1234, XSA-123, GHSA-xxxx-xxxx-xxxx.
var identifier = regexp.MustCompile(`^[A-Z]{2,20}-[A-Za-z0-9][A-Za-z0-9-]{0,60}$`)

// identifiers finds the names of flaws in what people wrote, each once: "CVE-2017-2616 (+ regression fix)".
func identifiers(texts []string) []string {
	var found []string
	seen := map[string]bool{}
	for _, text := range texts {
		for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n,;()[]", r) }) {
			if identifier.MatchString(word) && !seen[word] {
				seen[word] = true
				found = append(found, word)
			}
		}
	}
	return found
}
