// Package alert tells people and other programs what a loop saw and did.
//
//	senders := []alert.Sender{
//		alert.Slack(slackURL, nil),
//		alert.Webhook("https://example.com/hooks/models", &alert.WebhookOptions{Secret: secret}),
//		alert.Log(logger),
//	}
//	for _, a := range monitor.Check(time.Now()) {
//		for _, s := range senders {
//			err := s.Send(ctx, alert.FromAlert(a))
//		}
//	}
//
// A [Message] is a drift alert that fired or resolved, or an event of a loop. A
// [Sender] makes one attempt to pass it on, and its error says whether another
// can help ([Permanent]) and how long the receiver wants to be left alone
// ([RetryAfter]). A [Courier] makes the further attempts: it reads messages from
// a log, keeps a cursor for each sender, and sends what that sender has not taken
// yet, at least once, also across the death of the process. The same message
// again has the same ID, by which a receiver can tell.
//
// The URLs of HTTP senders are secrets, whole. They are in no name, no error and
// no printed value; redirects are not followed.
package alert
