package drift

// Adopt makes the monitor of a new champion go on with alerts that its
// predecessor's monitor had firing. An alert about inputs is about what is
// asked, not about who answers: under the new reference it resolves once its
// columns are quiet, and the same drift does not fire twice. Alerts about
// errors, resolved ones, and ones whose columns the reference lacks are passed
// over; Adopt returns what it took on.
//
// The new monitor's window begins with the rows at the end of its reference: if
// these have drifted as the alert says, it resolves after Options.Resolve
// comparisons, and else that many after the window is like the reference.
func (m *Monitor) Adopt(alerts []Alert) []Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	var taken []Alert
	for _, a := range alerts {
		if a.Source == FeatureDrift && a.Firing() && m.inputs.knows(a) {
			m.open = append(m.open, &episode{Alert: a.clone(), Looks: m.opts.looks()})
			taken = append(taken, a.clone())
		}
	}
	return taken
}

// knows reports whether the reference has every column of the alert. One that
// is still being learned may have them.
func (w *inputWatch) knows(a Alert) bool {
	if w.reference == nil {
		return true
	}
	known := make(map[string]bool)
	for _, c := range w.reference.Columns() {
		known[c.Name] = true
	}
	for _, c := range a.Columns {
		if !known[c.Column] {
			return false
		}
	}
	return true
}
