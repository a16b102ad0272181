package archtest

// Layer says what the packages under a folder may import of the module. The
// first layer that holds a package is its layer. A pattern is a folder, with
// /... for all below it too.
type Layer struct {
	Packages []string
	May      []string
	Roles    bool // domain packages, too, may import role packages
}

// Driver says who may import a foreign module directly.
type Driver struct {
	Modules []string // prefixes of import paths
	By      []string
}

// Ban says what some packages must not link, not even through others.
type Ban struct {
	Packages []string
	Roles    bool // role packages, too
	Modules  []string
	Why      string
}

// Rules are the whole architecture.
type Rules struct {
	Layers       []Layer
	Drivers      []Driver
	Bans         []Ban
	RoleSuffixes []string // what a role package's name has after its parent's
	BadNames     []string // of packages
	MaxLines     int      // of a file that is no test
}

// The role packages that Go's own httptest is the model of: trackingsql is the
// SQL role of tracking.
func roleSuffixes() []string {
	return []string{"sql", "mem", "http", "grpc", "mlflow", "dbos", "s3", "test"}
}

// MlloopRules returns the rules of this module.
func MlloopRules() Rules {
	return Rules{
		Layers:       layers(),
		Drivers:      drivers(),
		Bans:         bans(),
		RoleSuffixes: roleSuffixes(),
		BadNames:     []string{"util", "utils", "common", "types", "helper", "helpers", "pkg", "misc", "base", "shared"},
		MaxLines:     499,
	}
}

// layers is the import direction.
func layers() []Layer {
	return []Layer{
		// retrainsql, the console and examples may import anything.
		{Packages: []string{"examples/...", "retrain/retrainsql", "retrain/console/..."}, May: []string{"..."}, Roles: true},
		// The tests' databases.
		{Packages: []string{"internal/sqltest"}, May: []string{"internal/...", "sqlstore"}},
		// internal → standard library and what it wraps.
		{Packages: []string{"internal/..."}, May: []string{"internal/..."}},
		// sqlstore → internal. Its drivers keep the domain packages from it; their SQL roles stand on it.
		{Packages: []string{"sqlstore"}, May: []string{"internal/..."}},
		// tracking → internal.
		{Packages: []string{"tracking/..."}, May: []string{"internal/...", "sqlstore", "tracking/..."}},
		// registry → tracking.
		{Packages: []string{"registry/..."}, May: []string{"internal/...", "sqlstore", "tracking/...", "registry/..."}},
		// frame, feature, validate, profile, metric, model and device know neither tracking nor registry.
		{Packages: plainTrain(), May: append(plainTrain(), "internal/...")},
		// train → tracking, registry and its own sub-packages.
		{Packages: []string{"train/..."}, May: []string{"internal/...", "tracking/...", "registry/...", "train/..."}},
		// serve → tracking, registry, train/{frame, feature, validate, model, device}.
		{Packages: []string{"serve/..."}, May: []string{"internal/...", "sqlstore", "tracking/...", "registry/...", "serve/...",
			"train/frame/...", "train/feature/...", "train/validate/...", "train/model/...", "train/device/..."}},
		// drift → train/{frame, profile, metric}.
		{Packages: []string{"drift/..."}, May: []string{"internal/...", "sqlstore", "drift/...",
			"train/frame/...", "train/profile/...", "train/metric/..."}},
		// retrain → everything below it; only it ties the loop together.
		{Packages: []string{"retrain/..."}, May: []string{"internal/...", "sqlstore", "tracking/...", "registry/...", "train/...",
			"serve/...", "drift/...", "retrain/..."}, Roles: true},
	}
}

// drivers are the modules that only few packages wrap.
func drivers() []Driver {
	return []Driver{
		{Modules: []string{"testing", "github.com/stretchr/testify"}, By: []string{"*test"}},
		{Modules: []string{"modernc.org/sqlite", "github.com/jackc/pgx"}, By: []string{"sqlstore", "internal/pgtest", "internal/sqltest", "*sql", "retrain/retraindbos", "examples/..."}},
		{Modules: []string{"github.com/dbos-inc"}, By: []string{"retrain/retraindbos", "retrain/retrainsql"}},
		{Modules: []string{"google.golang.org/grpc"}, By: []string{"serve/servegrpc"}},
		{Modules: []string{"github.com/minio"}, By: []string{"tracking/artifact/artifacts3"}},
		{Modules: []string{"github.com/ebitengine/purego"}, By: []string{"train/device/devicecuda", "train/device/deviceblas", "serve/flavor/onnxruntime"}},
		{Modules: gorgonia(), By: []string{"train", "train/nn/...", "train/sweep/..."}},
	}
}

// bans keep drivers out of what links everywhere.
func bans() []Ban {
	return []Ban{
		{
			Packages: []string{"tracking/...", "registry/...", "train/...", "serve/...", "drift/...", "retrain/..."},
			Modules: []string{"modernc.org/sqlite", "github.com/jackc/pgx", "github.com/dbos-inc", "google.golang.org/grpc",
				"github.com/minio", "github.com/aws", "cloud.google.com", "github.com/Azure", "github.com/ebitengine/purego", "testing"},
			Why: "a domain package links no SQL driver, CUDA, cloud SDK, DBOS, gRPC or testing",
		},
		{
			Packages: append(plainTrain(), "serve/...", "drift/..."), Roles: true,
			Modules: gorgonia(),
			Why:     "a serving binary never links gorgonia",
		},
	}
}

// plainTrain are the parts of train that serving and drift stand on.
func plainTrain() []string {
	return []string{"train/frame/...", "train/feature/...", "train/validate/...", "train/profile/...",
		"train/metric/...", "train/model/...", "train/device/..."}
}

func gorgonia() []string { return []string{"gorgonia.org", "go4.org/unsafe"} }
