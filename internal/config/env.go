package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Env lays the environment over the configuration of a server. Lists are separated by commas.
func (s *Server) Env(getenv func(string) string) error {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("env")
		text := getenv(name)
		if text == "" {
			continue
		}
		switch field := v.Field(i).Addr().Interface().(type) {
		case *string:
			*field = text
		case *[]string:
			*field = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
		case **Duration:
			*field = new(Duration)
			if err := (*field).UnmarshalText([]byte(text)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}
