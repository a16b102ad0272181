package retrain

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
)

// mostChanges bounds what an event lists, longestSetting what it shows of each.
const (
	mostChanges    = 30
	longestSetting = 120
)

// describeChanges lists what differs between two stored configurations, as
// "field: old → new" in the order of the fields' names. Errors: Corrupt.
func describeChanges(before, after []byte) (string, error) {
	old, err := settingsOf(before)
	if err != nil {
		return "", err
	}
	present, err := settingsOf(after)
	if err != nil {
		return "", err
	}
	names := maps.Clone(old)
	maps.Copy(names, present)
	var changes []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, had := old[name]
		is, has := present[name]
		if was != is || had != has {
			changes = append(changes, fmt.Sprintf("%s: %s → %s", name, settingText(was, had), settingText(is, has)))
		}
	}
	if more := len(changes) - mostChanges; more > 0 {
		changes = append(changes[:mostChanges], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(changes, "; "), nil
}

// settingsOf flattens a stored configuration: each setting by its path.
func settingsOf(raw []byte) (map[string]string, error) {
	var all any
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fault.Errorf(fault.Corrupt, "configuration: %w", err)
	}
	out := make(map[string]string)
	flatten("", all, out)
	return out, nil
}

func flatten(path string, v any, out map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		for name, field := range v {
			flatten(strings.TrimPrefix(path+"."+name, "."), field, out)
		}
	case []any:
		for i, item := range v {
			flatten(fmt.Sprintf("%s[%d]", path, i), item, out)
		}
	default:
		raw, err := json.Marshal(v)
		if err != nil {
			raw = []byte(fmt.Sprint(v))
		}
		out[path] = string(raw)
	}
}

func settingText(value string, present bool) string {
	if !present {
		return "none"
	}
	if r := []rune(value); len(r) > longestSetting {
		return string(r[:longestSetting]) + "…"
	}
	return value
}
