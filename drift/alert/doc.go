// Package alert tells people and other programs about drift alerts.
//
//	hook, err := alert.NewWebhook("https://example.com/hooks/drift", &alert.WebhookOptions{Secret: secret})
//	send := alert.Dedup(alert.Multi(hook, alert.Log(logger)))
//	for _, a := range monitor.Check(time.Now()) {
//		err := send.Send(ctx, a)
//	}
//
// A [Sender] takes an alert when it fires and again when it resolves. An alert
// that may be sent more than once, after a crash for one, carries the same ID:
// [Dedup] passes each message once while it lives, and the receiver of a
// webhook finds the message's identifier in its webhook-id header.
package alert
