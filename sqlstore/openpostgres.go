package sqlstore

import (
	"context"
	"database/sql"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/mlloop/mlloop/internal/fault"
)

const (
	leastPostgres  = 130000 // server_version_num
	connectTimeout = 5 * time.Second
	defaultConns   = 10
	poolMaxConns   = "pool_max_conns" // named as pgxpool does
)

func openPostgres(ctx context.Context, rawURL string) (*sql.DB, error) {
	config, conns, err := parsePostgres(rawURL)
	if err != nil {
		return nil, err
	}
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	db := New(pool, PostgreSQL, nil)
	return answers(ctx, pool, func() error { return db.checkServer(ctx) })
}

// parsePostgres reads the URL. Its errors hold no part of the password.
func parsePostgres(rawURL string) (*pgx.ConnConfig, int, error) {
	u, err := url.Parse(rawURL)
	if err != nil { // its text holds the whole URL
		return nil, 0, fault.Errorf(fault.Invalid, "the URL cannot be read: want postgres://USER:PASSWORD@HOST:PORT/DATABASE, the password with its special characters as %%XX")
	}
	if u.Host == "" && u.Opaque != "" {
		return nil, 0, fault.Errorf(fault.Invalid, "no URL: want postgres://USER:PASSWORD@HOST:PORT/DATABASE")
	}
	values, conns := u.Query(), defaultConns
	if text := values.Get(poolMaxConns); text != "" {
		if conns, err = strconv.Atoi(text); err != nil || conns < 1 {
			return nil, 0, fault.Errorf(fault.Invalid, "option %s=%s: want a number of at least 1", poolMaxConns, text)
		}
		u.RawQuery = without(u.RawQuery, poolMaxConns)
	}
	config, err := pgx.ParseConfig(u.String())
	if err != nil {
		return nil, 0, fault.Errorf(fault.Invalid, "the URL: %s", withoutPassword(err.Error(), u))
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "mlloop"
	}
	return config, conns, nil
}

// without takes an option out of a query and leaves the others as they are: pgx,
// as libpq, takes a + for itself, where url.Values write one for a space.
func without(query, option string) string {
	parts := strings.Split(query, "&")
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool {
		name, _, _ := strings.Cut(part, "=")
		return name == option
	}), "&")
}

// secretOptions are those of a URL that no error and no log may hold.
var secretOptions = [...]string{"password", "sslpassword"}

// Redacted returns a database URL without its passwords, for logs and errors. Of
// what is no URL, such as key=value pairs, it returns no more than the scheme.
func Redacted(rawURL string) string {
	if schemeOf(rawURL) == "sqlite" {
		return rawURL
	}
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme == "" || u.Opaque != "" {
		return strings.TrimPrefix(schemeOf(rawURL)+":…", ":")
	}
	values := u.Query()
	for _, name := range secretOptions {
		if values.Has(name) {
			values.Set(name, "xxxxx")
			u.RawQuery = values.Encode()
		}
	}
	return u.Redacted()
}

var schemeForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*$`)

// schemeOf is what a URL begins with, "" for what is none: its text may hold a
// password.
func schemeOf(rawURL string) string {
	scheme, _, ok := strings.Cut(rawURL, ":")
	if !ok || !schemeForm.MatchString(scheme) {
		return ""
	}
	return scheme
}

func withoutPassword(text string, u *url.URL) string {
	var secrets []string
	for _, name := range secretOptions {
		secrets = append(secrets, u.Query().Get(name), url.QueryEscape(u.Query().Get(name)))
	}
	if password, ok := u.User.Password(); ok {
		secrets = append(secrets, password, url.QueryEscape(password), url.PathEscape(password))
	}
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "xxxxx")
		}
	}
	return text
}

// checkServer makes sure that the server answers and is new enough.
func (db *DB) checkServer(ctx context.Context) error {
	var version int
	if err := db.QueryRow(ctx, `SELECT current_setting('server_version_num')::int`).Scan(&version); err != nil {
		return err
	}
	return checkVersion(version)
}

func checkVersion(number int) error {
	if number < leastPostgres {
		return fault.Errorf(fault.Unsupported, "PostgreSQL %d.%d is too old: want %d or later", number/10000, number%10000, leastPostgres/10000)
	}
	return nil
}
