package store

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Page says which part of a list is wanted. Lists are cut where a row is, not after so many rows: what comes and goes meanwhile moves
// nothing, and the last page costs what the first does.
type Page struct {
	// After is the Next of the page before; empty for the first.
	After string
	// Limit is how many items are wanted; 0 means DefaultLimit.
	Limit int
}

// Bounds of a page.
const (
	DefaultLimit = 100
	MaxLimit     = 500
)

func (p Page) limit() int {
	if p.Limit <= 0 {
		return DefaultLimit
	}
	return min(p.Limit, MaxLimit)
}

// ErrPage: a cursor that this list did not give.
var ErrPage = errors.New("this is no cursor of this list: leave it out to begin at the start")

// maxCursor bounds a cursor: the longest key is a handful of names.
const maxCursor = 4 << 10

// cursor writes the key of a row.
func cursor(key ...any) string {
	data, err := json.Marshal(key)
	if err != nil {
		return "" // texts and numbers do not fail
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

// key reads a cursor of so many texts (s) and numbers (n); nil for the first page.
func (p Page) key(kinds string) ([]any, error) {
	if p.After == "" {
		return nil, nil
	}
	data, err := base64.RawURLEncoding.DecodeString(p.After)
	if err != nil || len(data) > maxCursor {
		return nil, ErrPage
	}
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber()
	var key []any
	if decoder.Decode(&key) != nil || len(key) != len(kinds) {
		return nil, ErrPage
	}
	for i, v := range key {
		switch v := v.(type) {
		case string:
			if kinds[i] != 's' {
				return nil, ErrPage
			}
		case json.Number:
			n, err := v.Int64()
			if err != nil || kinds[i] != 'n' {
				return nil, ErrPage
			}
			key[i] = n
		default:
			return nil, ErrPage
		}
	}
	return key, nil
}

// list is a statement that gives one page.
type list struct {
	conditions []string
	args       []any
}

// add adds a condition; each ? in it stands for one of the values.
func (l *list) add(condition string, values ...any) {
	for _, v := range values {
		condition = strings.Replace(condition, "?", argument(&l.args, v), 1)
	}
	l.conditions = append(l.conditions, condition)
}

// text adds a condition that an expression contains a text, whatever the case of its letters.
func (l *list) text(expression, text string) {
	if text == "" {
		return
	}
	pattern := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(text)) + "%"
	l.add(`LOWER(`+expression+`) LIKE ? ESCAPE '\'`, pattern)
}

// where gives the conditions.
func (l *list) where() string {
	if len(l.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(l.conditions, " AND ")
}

// page adds that rows come after a key, in the order of columns, and gives the end of the statement. One row more than wanted is asked
// for, to know whether there are more.
func (l *list) page(p Page, key []any, desc bool, columns ...string) string {
	order, after := "", ">"
	if desc {
		order, after = " DESC", "<"
	}
	if key != nil {
		places := strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ")
		l.add("("+strings.Join(columns, ", ")+") "+after+" ("+places+")", key...)
	}
	return l.where() + " ORDER BY " + strings.Join(columns, order+", ") + order + fmt.Sprintf(" LIMIT %d", p.limit()+1)
}

// cut gives the rows of a page, and whether there are more.
func cut[T any](p Page, rows []T) ([]T, bool) {
	if len(rows) <= p.limit() {
		return rows, false
	}
	return rows[:p.limit()], true
}
