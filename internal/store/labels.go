package store

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"redflag/internal/fleet"
)

// Bounds of labels.
const (
	maxLabels     = 64  // of one host
	maxLabelValue = 200 // characters
	maxTerms      = 16  // of a query
)

// ErrLabels: labels, or a query of them, that are none.
var ErrLabels = errors.New("labels look like env=prod: a name of letters, digits and . _ - /, and a value of up to 200 characters")

var labelName = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,63}$`)

// CheckLabels refuses labels that are out of bounds.
func CheckLabels(labels map[string]string) error {
	if len(labels) > maxLabels {
		return fmt.Errorf("%w; and at most %d of them", ErrLabels, maxLabels)
	}
	for name, value := range labels {
		if !labelName.MatchString(name) || !isLabelValue(value) {
			return ErrLabels
		}
	}
	return nil
}

func isLabelValue(s string) bool {
	return utf8.RuneCountInString(s) <= maxLabelValue && s == fleet.Plain(s) && !strings.ContainsAny(s, ",")
}

// term is one condition of a query.
type term struct {
	name, value string
	hasValue    bool
	not         bool
}

// LabelQuery chooses hosts by their labels.
type LabelQuery struct{ terms []term }

// ParseLabels reads a query: terms joined by commas, all of which must hold. A term is name=value, name!=value (which holds too where
// the label is missing), name (the label is there) or !name (it is not). An empty query chooses all.
func ParseLabels(query string) (LabelQuery, error) {
	var q LabelQuery
	if strings.TrimSpace(query) == "" {
		return q, nil
	}
	for text := range strings.SplitSeq(query, ",") {
		t := parseTerm(strings.TrimSpace(text))
		if !labelName.MatchString(t.name) || !isLabelValue(t.value) {
			return LabelQuery{}, fmt.Errorf("%w; %q is no such thing", ErrLabels, fleet.Plain(text))
		}
		q.terms = append(q.terms, t)
	}
	if len(q.terms) > maxTerms {
		return LabelQuery{}, fmt.Errorf("%w; and at most %d in a query", ErrLabels, maxTerms)
	}
	return q, nil
}

func parseTerm(s string) term {
	name, value, ok := strings.Cut(s, "=")
	switch {
	case ok && strings.HasSuffix(name, "!"):
		return term{name: strings.TrimSpace(strings.TrimSuffix(name, "!")), value: strings.TrimSpace(value), hasValue: true, not: true}
	case ok:
		return term{name: strings.TrimSpace(name), value: strings.TrimSpace(value), hasValue: true}
	}
	return term{name: strings.TrimPrefix(s, "!"), not: strings.HasPrefix(s, "!")}
}

// where gives the query as a condition on a host's ID, which is an expression, and adds its arguments.
func (q LabelQuery) where(hostID string, args *[]any) string {
	conditions := []string{"1 = 1"}
	for _, t := range q.terms {
		c := "EXISTS (SELECT 1 FROM labels AS l WHERE l.host_id = " + hostID + " AND l.name = " + argument(args, t.name)
		if t.hasValue {
			c += " AND l.value = " + argument(args, t.value)
		}
		c += ")"
		if t.not {
			c = "NOT " + c
		}
		conditions = append(conditions, c)
	}
	return strings.Join(conditions, " AND ")
}

// argument adds an argument to a statement and gives its place.
func argument(args *[]any, value any) string {
	*args = append(*args, value)
	return fmt.Sprintf("$%d", len(*args))
}

// SetLabels gives a host these labels and no others.
func (s *Store) SetLabels(ctx context.Context, id fleet.HostID, labels map[string]string) error {
	if err := CheckLabels(labels); err != nil {
		return err
	}
	err := s.inTx(ctx, func(c conn) error {
		if _, err := lockHost(ctx, c, id); err != nil {
			return err
		}
		if _, err := c.exec(ctx, `DELETE FROM labels WHERE host_id = $1`, id); err != nil {
			return err
		}
		return setLabels(ctx, c, id, labels)
	})
	if err != nil {
		return fmt.Errorf("label %s: %w", id, err)
	}
	return nil
}

// Labels gives those of a host.
func (s *Store) Labels(ctx context.Context, id fleet.HostID) (map[string]string, error) {
	labels := map[string]string{}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		var name, value string
		err := scan(&name, &value)
		labels[name] = value
		return err
	}, `SELECT name, value FROM labels WHERE host_id = $1`, id)
	return labels, err
}

// LabelUse is how many hosts have a label.
type LabelUse struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Hosts int    `json:"hosts"`
}

// LabelUses gives every label of the fleet.
func (s *Store) LabelUses(ctx context.Context) ([]LabelUse, error) {
	list := []LabelUse{}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		var l LabelUse
		err := scan(&l.Name, &l.Value, &l.Hosts)
		list = append(list, l)
		return err
	}, `SELECT name, value, COUNT(*) FROM labels GROUP BY name, value ORDER BY name, value`)
	return list, err
}
