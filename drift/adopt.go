package drift

// Adopt makes the monitor of a new champion go on with alerts that its
// predecessor's monitor had firing. An alert about inputs is about what is
// asked, not about who answers: under the new reference it resolves once its
// columns are quiet, and the same drift does not fire twice. Alerts about
// errors, resolved ones, and ones whose columns the reference lacks are passed
// over; Adopt returns what it took on.
func (m *Monitor) Adopt(alerts []Alert) []Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	var taken []Alert
	for _, a := range alerts {
		if a.Source == FeatureDrift && a.Firing() && m.knows(a) {
			m.open = append(m.open, &episode{Alert: a.clone()})
			taken = append(taken, a.clone())
		}
	}
	return taken
}

func (m *Monitor) knows(a Alert) bool {
	known := make(map[string]bool)
	for _, c := range m.inputs.reference.Columns() {
		known[c.Name] = true
	}
	for _, c := range a.Columns {
		if !known[c.Column] {
			return false
		}
	}
	return true
}
