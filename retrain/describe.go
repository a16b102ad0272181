package retrain

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"
	"time"
)

// The bounds of a description: a part that holds more says so.
const (
	describeDepth = 8
	describeItems = 1000 // of a list or a map
)

// describe names a part of a configuration by its type and its Go value, as
// something that encodes to JSON in one way only: fields and keys in order,
// durations as text, functions by name, what has no settings by its type. Types
// of the standard library that are no plain values, such as a connection or a
// lock, are named and not looked into.
func describe(part any) any { return describeTyped(reflect.ValueOf(part), describeDepth) }

// describeTyped is describeValue of what stood behind an interface: it may be of
// several types, and where the description does not name its own, this does.
func describeTyped(v reflect.Value, depth int) any {
	if !v.IsValid() || v.Type().PkgPath() == "" || isStandard(v.Type()) {
		return describeValue(v, depth)
	}
	d := describeValue(v, depth)
	if fields, ok := d.(map[string]any); ok && fields["type"] == v.Type().String() {
		return d
	}
	return map[string]any{"type": v.Type().String(), "value": d}
}

func describeValue(v reflect.Value, depth int) any {
	if !v.IsValid() {
		return nil
	}
	switch d, text := textOf(v); {
	case text:
		return d
	case depth == 0:
		return "…"
	}
	switch v.Kind() {
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return v.Uint()
	case reflect.Float32, reflect.Float64:
		return number64(v.Float())
	case reflect.String:
		return strings.ToValidUTF8(v.String(), "\uFFFD")
	case reflect.Func:
		return functionName(v)
	case reflect.Interface:
		return describeTyped(v.Elem(), depth-1)
	case reflect.Pointer:
		return describePointed(v, depth)
	case reflect.Struct:
		return describeStruct(v, depth)
	case reflect.Slice, reflect.Array:
		return describeList(v, depth)
	case reflect.Map:
		return describeMap(v, depth)
	}
	return v.Type().String()
}

// number64 returns what JSON can hold.
func number64(f float64) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Sprint(f)
	}
	return f
}

// textOf returns the text of the values whose text says all: durations, and what
// marshals itself, where it may be asked.
func textOf(v reflect.Value) (string, bool) {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		return time.Duration(v.Int()).String(), true
	}
	if !v.CanInterface() || v.Kind() == reflect.Interface || (v.Kind() == reflect.Pointer && v.IsNil()) {
		return "", false
	}
	m, ok := v.Interface().(encoding.TextMarshaler)
	if !ok {
		return "", false
	}
	var text []byte
	err := safely(func() (err error) {
		text, err = m.MarshalText()
		return err
	})
	return strings.ToValidUTF8(string(text), "\uFFFD"), err == nil
}

func functionName(v reflect.Value) any {
	if v.IsNil() {
		return nil
	}
	if f := runtime.FuncForPC(v.Pointer()); f != nil {
		return "func " + f.Name()
	}
	return v.Type().String()
}

func describePointed(v reflect.Value, depth int) any {
	if v.IsNil() {
		return nil
	}
	return describeValue(v.Elem(), depth-1)
}

// isStandard reports a type of the standard library: its path has no host.
func isStandard(t reflect.Type) bool {
	first, _, _ := strings.Cut(t.PkgPath(), "/")
	return first != "" && first != "main" && !strings.Contains(first, ".")
}

func describeStruct(v reflect.Value, depth int) any {
	t := v.Type()
	if isStandard(t) {
		return t.String()
	}
	out := map[string]any{"type": t.String()}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "Env" && f.Type == reflect.TypeFor[[]string]() {
			out[f.Name] = variableNames(v.Field(i))
			continue
		}
		out[f.Name] = describeValue(v.Field(i), depth-1)
	}
	return out
}

// variableNames leaves out what environment variables hold: passwords, often.
func variableNames(env reflect.Value) []string {
	names := make([]string, env.Len())
	for i := range names {
		names[i], _, _ = strings.Cut(env.Index(i).String(), "=")
	}
	return names
}

func describeList(v reflect.Value, depth int) any {
	if v.Kind() == reflect.Slice && v.IsNil() {
		return nil
	}
	out := make([]any, 0, v.Len())
	for i := range min(v.Len(), describeItems) {
		out = append(out, describeValue(v.Index(i), depth-1))
	}
	if n := v.Len() - describeItems; n > 0 {
		out = append(out, fmt.Sprintf("… and %d more", n))
	}
	return out
}

// describeMap leaves it to the encoder to order the keys. One that is too large
// is counted: which of its keys came first would be chance.
func describeMap(v reflect.Value, depth int) any {
	if v.Len() > describeItems {
		return fmt.Sprintf("%s of %d", v.Type(), v.Len())
	}
	out := make(map[string]any, v.Len())
	for _, key := range v.MapKeys() {
		out[fmt.Sprint(describeValue(key, depth-1))] = describeValue(v.MapIndex(key), depth-1)
	}
	return out
}
