package api

import (
	"encoding"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"redflag/internal/fleet"
)

// writeCSV writes a list with a header (RFC 4180), and what more gives until it gives nothing. A column is a field, by its path in the
// JSON form: update.name.
func writeCSV[T any](w io.Writer, items []T, more func() ([]T, error)) error {
	out := csv.NewWriter(w)
	columns := columnsOf(reflect.TypeFor[T](), "", nil)
	header := make([]string, len(columns))
	for i, c := range columns {
		header[i] = c.name
	}
	if err := out.Write(header); err != nil {
		return err
	}
	for len(items) > 0 {
		for _, item := range items {
			if err := out.Write(row(columns, reflect.ValueOf(item))); err != nil {
				return err
			}
		}
		out.Flush()
		if err := out.Error(); err != nil {
			return err
		}
		var err error
		if items, err = more(); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// writeLines writes a list as JSON, an object a line, and what more gives until it gives nothing.
func writeLines[T any](w io.Writer, items []T, more func() ([]T, error)) error {
	out := json.NewEncoder(w)
	for len(items) > 0 {
		for _, item := range items {
			if err := out.Encode(item); err != nil {
				return err
			}
		}
		var err error
		if items, err = more(); err != nil {
			return err
		}
	}
	return nil
}

// column is a field, however deep it stands.
type column struct {
	name  string
	index []int
}

// columnsOf gives the columns of a struct.
func columnsOf(t reflect.Type, prefix string, index []int) []column {
	var list []column
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		at := append(append([]int{}, index...), i)
		ft := f.Type
		if ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		switch {
		case !f.IsExported() || name == "-":
		case f.Anonymous && name == "":
			list = append(list, columnsOf(ft, prefix, at)...)
		case ft.Kind() == reflect.Struct && !isScalar(ft):
			list = append(list, columnsOf(ft, prefix+name+".", at)...)
		default:
			list = append(list, column{prefix + name, at})
		}
	}
	return list
}

func isScalar(t reflect.Type) bool {
	return t == reflect.TypeFor[time.Time]() || t.Implements(reflect.TypeFor[encoding.TextMarshaler]())
}

func row(columns []column, item reflect.Value) []string {
	cells := make([]string, len(columns))
	for i, c := range columns {
		if v, err := item.FieldByIndexErr(c.index); err == nil { // a pointer on the way may be nil
			cells[i] = fleet.Defuse(cell(v))
		}
	}
	return cells
}

// cell gives a value as people read it.
func cell(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Time:
		if x.IsZero() {
			return ""
		}
		return x.Format(time.RFC3339)
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		if err != nil {
			return ""
		}
		return string(text)
	case []string:
		return strings.Join(x, " ")
	}
	switch v.Kind() {
	case reflect.Map, reflect.Slice:
		data, err := json.Marshal(v.Interface())
		if err != nil {
			return ""
		}
		return string(data)
	case reflect.Pointer:
		if v.IsNil() {
			return ""
		}
		return cell(v.Elem())
	}
	return fmt.Sprint(v.Interface())
}
