package retraindbos

// SetHost makes the engine's machine another one, whose processes nobody else sees.
func (e *Engine) SetHost(host string) { e.host = host }
