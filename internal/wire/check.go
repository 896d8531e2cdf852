package wire

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"redflag/internal/fleet"
)

// Bounds of what a host may say. They are far above what hosts are, and low enough for one host not to be felt by the others.
const (
	MaxSources    = 50
	MaxUpdates    = 20_000 // of one source
	MaxChecks     = 5_000
	MaxPackages   = 50_000
	MaxContainers = 5_000
	maxName       = 200 // of a source or a part
)

// ErrBounds: a message that says more than any host could have to say, or lacks what every one has.
var ErrBounds = errors.New("the message is out of bounds")

func bounds(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBounds, fmt.Sprintf(format, args...))
}

// Check holds a report to the bounds, and makes its texts safe to keep and to show: see [fleet.Plain]. One that fails is refused whole.
func (r *Report) Check() error {
	if r.Sequence <= 0 {
		return bounds("no sequence number")
	}
	if err := checkSession(r.Session); err != nil {
		return err
	}
	if len(r.Findings) > MaxSources || len(r.Absent) > MaxSources || len(r.Digests) > MaxSources+3 {
		return bounds("more than %d sources", MaxSources)
	}
	seen := map[string]bool{}
	for _, f := range r.Findings {
		switch {
		case f.Source == "" || len(f.Source) > maxName || seen[f.Source]:
			return bounds("a finding of %q", fleet.Plain(f.Source))
		case f.State != fleet.OK && f.State != fleet.Uncertain:
			return bounds("a finding in the state %q", fleet.Plain(string(f.State)))
		case f.State == fleet.Uncertain && f.Because == "":
			return bounds("%s is unknown without a reason", fleet.Plain(f.Source))
		case len(f.Updates) > MaxUpdates:
			return bounds("%d updates", len(f.Updates))
		case len(f.Checks) > MaxChecks:
			return bounds("%d checks", len(f.Checks))
		}
		seen[f.Source] = true
	}
	if p := r.Packages; p != nil && (len(p.Added) > MaxPackages || len(p.Removed) > MaxPackages) {
		return bounds("more than %d packages", MaxPackages)
	}
	if c := r.Containers; c != nil && len(c.All) > MaxContainers {
		return bounds("%d containers", len(c.All))
	}
	clean(reflect.ValueOf(r).Elem())
	return nil
}

// maxSession is far above the length of a session's name.
const maxSession = 32

func checkSession(s string) error {
	if s == "" || len(s) > maxSession || s != fleet.Plain(s) {
		return bounds("no name of a session")
	}
	return nil
}

// Check holds a check-in to the bounds.
func (c *CheckIn) Check() error {
	if len(c.Digests) > MaxSources+3 || len(c.Scanned) > MaxSources || len(c.AsOf) > MaxSources {
		return bounds("more than %d sources", MaxSources)
	}
	return checkSession(c.Session)
}

// Check holds a result to the bounds, and makes its text safe.
func (r *Result) Check() error {
	switch r.State {
	case Held, Running, Succeeded, Failed, RolledBack, Cancelled, Expired, Lost:
	default:
		return bounds("the state %q", fleet.Plain(string(r.State)))
	}
	r.Because, r.Remedy = fleet.Plain(r.Because), fleet.Plain(r.Remedy)
	if a := r.Answer; a != nil {
		if err := a.check(); err != nil {
			return err
		}
	}
	return checkSession(r.Session)
}

// Check holds a batch of lines to the bounds, and makes its texts safe. A line is never split or joined by that.
func (p *Progress) Check() error {
	if len(p.Lines) > MaxBatch || p.From < 0 || p.From+len(p.Lines) > MaxLines || p.Percent < -1 || p.Percent > 100 {
		return bounds("%d lines from %d", len(p.Lines), p.From)
	}
	clean(reflect.ValueOf(p).Elem())
	return checkSession(p.Session)
}

// check holds an answer to the bounds, and makes its texts safe. A plan whose digest changes by that is none of an honest host.
func (a *Answer) check() error {
	if len(a.Plans) > MaxSources || len(a.Jobs) > MaxSources {
		return bounds("more than %d plans", MaxSources)
	}
	var digests []string
	for _, p := range a.Plans {
		if len(p.Changes) > MaxUpdates {
			return bounds("a plan of %d changes", len(p.Changes))
		}
		digests = append(digests, p.Digest())
	}
	for _, j := range a.Jobs {
		if len(j.Outcome.Done) > MaxUpdates || len(j.Outcome.Missing) > MaxUpdates {
			return bounds("a job of %d changes", len(j.Outcome.Done))
		}
	}
	clean(reflect.ValueOf(a).Elem())
	for i, p := range a.Plans {
		if p.Digest() != digests[i] {
			return bounds("a plan with texts that are none")
		}
	}
	return nil
}

// Check holds an enrolment to the bounds, and makes its texts safe.
func (e *Enroll) Check() error {
	if len(e.Key) != keySize {
		return bounds("a key of %d bytes", len(e.Key))
	}
	if len(e.Machine) > maxName || len(e.Token) > maxName {
		return bounds("a name of over %d bytes", maxName)
	}
	clean(reflect.ValueOf(e).Elem())
	if e.Host.Name == "" {
		return bounds("a host without a name")
	}
	return nil
}

// clean makes every text in a value plain, and every list one that is there, however deep they stand. Types bound the depth: none of ours holds itself.
func clean(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if s := v.String(); !isShortASCII(s) {
			v.SetString(fleet.Plain(s))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			clean(v.Elem())
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		if v.IsNil() && v.CanSet() {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0)) // a list that was left out, or null, is an empty one
		}
		for i := range v.Len() {
			clean(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				clean(f)
			}
		}
	case reflect.Map:
		cleanMap(v)
	default:
	}
}

// cleanMap cleans a map of texts; none of our messages has another.
func cleanMap(v reflect.Value) {
	for _, k := range v.MapKeys() {
		key, value := fleet.Plain(k.String()), v.MapIndex(k)
		if value.Kind() == reflect.String {
			value = reflect.ValueOf(fleet.Plain(value.String()))
		}
		v.SetMapIndex(k, reflect.Value{})
		v.SetMapIndex(reflect.ValueOf(key), value)
	}
}

// isShortASCII tells what needs no cleaning, which is nearly all.
func isShortASCII(s string) bool {
	if len(s) > fleet.PlainLimit || strings.HasPrefix(s, " ") || strings.HasSuffix(s, " ") {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
