package store

import (
	"context"
	"encoding/json"

	"redflag/internal/fleet"
)

// checkKey is what makes the answer for an image the same one in two findings of a host's source.
type checkKey struct{ name, platform string }

// checks brings the answers for images up to date.
func (w *saving) checks(ctx context.Context, f fleet.Finding) error {
	old := map[checkKey]fleet.Answer{}
	bodies := map[checkKey]string{}
	if err := w.c.all(ctx, func(scan func(...any) error) error {
		var k checkKey
		var answer fleet.Answer
		var body string
		err := scan(&k.name, &k.platform, &answer, &body)
		old[k], bodies[k] = answer, body
		return err
	}, `SELECT name, platform, answer, body FROM checks WHERE host_id = $1 AND source = $2`, w.id, f.Source); err != nil {
		return err
	}
	var fresh rows
	seen := map[checkKey]bool{}
	for _, check := range f.Checks {
		k := checkKey{check.Name, check.Platform}
		if seen[k] {
			continue // one odd item never loses the rest
		}
		seen[k] = true
		was, known := old[k]
		if err := w.check(ctx, f.Source, check, was, known, bodies[k], &fresh); err != nil {
			return err
		}
	}
	if err := fresh.write(ctx, w.c, `INSERT INTO checks (host_id, source, name, platform, answer, body)`, ""); err != nil {
		return err
	}
	for k, answer := range old {
		if seen[k] {
			continue
		}
		w.images[imageKey{k.name, k.platform, answer}]--
		if _, err := w.c.exec(ctx, `DELETE FROM checks WHERE host_id = $1 AND source = $2 AND name = $3 AND platform = $4`,
			w.id, f.Source, k.name, k.platform); err != nil {
			return err
		}
	}
	return nil
}

// check writes one answer, if it is not there as it is; a new one with the others that are.
func (w *saving) check(ctx context.Context, source string, check fleet.Check, was fleet.Answer, known bool, before string, fresh *rows) error {
	body, err := json.Marshal(check)
	if err != nil || known && before == string(body) {
		return err
	}
	if known && was != check.Answer {
		w.images[imageKey{check.Name, check.Platform, was}]--
	}
	if !known || was != check.Answer {
		w.images[imageKey{check.Name, check.Platform, check.Answer}]++
	}
	if known {
		_, err = w.c.exec(ctx, `UPDATE checks SET answer = $1, body = $2 WHERE host_id = $3 AND source = $4 AND name = $5 AND platform = $6`,
			string(check.Answer), string(body), w.id, source, check.Name, check.Platform)
		return err
	}
	fresh.add(w.id, source, check.Name, check.Platform, string(check.Answer), string(body))
	return nil
}
