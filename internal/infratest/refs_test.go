package infratest_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/roomcast/roomcast/internal/config"
	it "github.com/roomcast/roomcast/internal/infratest"
)

func load(t *testing.T) map[string]it.Template {
	t.Helper()
	all, err := it.Load()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var inSub = regexp.MustCompile(`\$\{([^!}]+)\}`)

// references are the names that a template's references lead to, with their
// attributes: {"Table": {"", "Arn"}}.
func references(v any) map[string][]string {
	found := map[string][]string{}
	add := func(name, attribute string) { found[name] = append(found[name], attribute) }
	sub := func(text string, own map[string]any) {
		for _, m := range inSub.FindAllStringSubmatch(text, -1) {
			name, attribute, _ := strings.Cut(m[1], ".")
			if _, ok := own[name]; !ok {
				add(name, attribute)
			}
		}
	}
	it.Walk(v, func(v any) {
		m := it.Map(v)
		if s, ok := m["Ref"].(string); ok {
			add(s, "")
		}
		if l := it.List(m["Fn::GetAtt"]); len(l) == 2 {
			add(l[0].(string), l[1].(string))
		}
		switch s := m["Fn::Sub"].(type) {
		case string:
			sub(s, nil)
		case []any:
			sub(s[0].(string), it.Map(s[1]))
		}
	})
	return found
}

func problemsOfReferences(all map[string]it.Template) []string {
	var problems []string
	for name, t := range all {
		parameters, resources := t.Section("Parameters"), t.Section("Resources")
		used := references(t.Root)
		for ref := range used {
			if parameters[ref] == nil && resources[ref] == nil && !strings.HasPrefix(ref, "AWS::") && !madeBySAM(t, ref) {
				problems = append(problems, name+": "+ref+" is neither a parameter nor a resource")
			}
		}
		for p := range parameters {
			if used[p] == nil {
				problems = append(problems, name+": parameter "+p+" is never used")
			}
		}
		conditions := t.Section("Conditions")
		spoken := map[string]bool{}
		it.Walk(t.Root, func(v any) {
			m := it.Map(v)
			if c, ok := m["Condition"].(string); ok {
				spoken[c] = true
			}
			if l := it.List(m["Fn::If"]); len(l) == 3 {
				spoken[l[0].(string)] = true
			}
		})
		for c := range spoken {
			if conditions[c] == nil {
				problems = append(problems, name+": there is no condition "+c)
			}
		}
		for c := range conditions {
			if !spoken[c] {
				problems = append(problems, name+": condition "+c+" is never used")
			}
		}
	}
	return append(problems, problemsOfNesting(all)...)
}

// madeBySAM: SAM makes a role for each function.
func madeBySAM(t it.Template, id string) bool {
	function, ok := strings.CutSuffix(id, "Role")
	return ok && t.Of("AWS::Serverless::Function")[function] != nil
}

// problemsOfNesting compares what the root stack hands to nested ones with
// what they want, and what it takes with what they give.
func problemsOfNesting(all map[string]it.Template) []string {
	var problems []string
	root := all["template"]
	children := map[string]it.Template{}
	for id, p := range root.Of("AWS::Serverless::Application") {
		location, _ := p["Location"].(string)
		child, ok := all[strings.TrimSuffix(strings.TrimPrefix(location, "infra/"), ".yaml")]
		if !ok {
			problems = append(problems, "template: "+id+" is nowhere: "+location)
			continue
		}
		children[id] = child
		given, wanted := it.Map(p["Parameters"]), child.Section("Parameters")
		for name := range given {
			if wanted[name] == nil {
				problems = append(problems, "template: "+id+" takes no "+name)
			}
		}
		for name, w := range wanted {
			if _, optional := it.Map(w)["Default"]; given[name] == nil && !optional {
				problems = append(problems, "template: "+id+" is not given "+name)
			}
		}
	}
	taken := map[string]bool{}
	for id, attributes := range references(root.Root) {
		child, ok := children[id]
		for _, a := range attributes {
			output := strings.TrimPrefix(a, "Outputs.")
			if ok && child.Section("Outputs")[output] == nil {
				problems = append(problems, "template: "+id+" gives no "+output)
			}
			taken[id+"."+output] = true
		}
	}
	for name := range all {
		if name != "template" && !slices.ContainsFunc(slices.Collect(maps.Values(children)), func(c it.Template) bool { return c.Name == name }) {
			problems = append(problems, "template: infra/"+name+".yaml is not part of the stack")
		}
	}
	return problems
}

func TestEveryReferenceParameterAndConditionResolvesAndIsUsed(t *testing.T) {
	for _, p := range problemsOfReferences(load(t)) {
		t.Error(p)
	}
}

func TestBrokenReferencesAreFound(t *testing.T) {
	child, err := it.Parse([]byte("Parameters: {A: {Type: String}, Spare: {Type: String, Default: x}}\nConditions: {Odd: !Equals [a, b]}\nResources: {R: {Type: T, Condition: Even, Properties: {X: !Sub \"${A}-${Nowhere}\", Y: !GetAtt Gone.Arn}}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	child.Name = "child"
	root, err := it.Parse([]byte("Resources: {C: {Type: AWS::Serverless::Application, Properties: {Location: infra/child.yaml, Parameters: {B: 1}}}}\nOutputs: {O: {Value: !GetAtt C.Outputs.None}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := problemsOfReferences(map[string]it.Template{"template": root, "child": child})
	slices.Sort(got)
	want := []string{
		"child: Gone is neither a parameter nor a resource", "child: Nowhere is neither a parameter nor a resource",
		"child: condition Odd is never used", "child: parameter Spare is never used", "child: there is no condition Even",
		"template: C gives no None", "template: C is not given A", "template: C takes no B",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// environments answers the variables that each program is given, with what
// the platform or who starts it adds.
func environments(all map[string]it.Template) map[string]map[string]bool {
	found := map[string]map[string]bool{}
	add := func(program, name string) {
		if found[program] == nil {
			found[program] = map[string]bool{}
		}
		found[program][name] = true
	}
	for id, p := range all["functions"].Of("AWS::Serverless::Function") {
		for name := range it.Map(it.Map(p["Environment"])["Variables"]) {
			add("functions/"+strings.ToLower(id), name)
		}
	}
	for id, p := range all["workers"].Of("AWS::ECS::TaskDefinition") {
		program := "workers/transcoder"
		if strings.HasPrefix(id, "Ingest") {
			program = "workers/ingest"
			add(program, "ECS_AGENT_URI") // by ECS
			add(program, "ECS_CONTAINER_METADATA_URI_V4")
		} else {
			add(program, "ROOMCAST_JOB_ID") // by functions/archiver
		}
		for _, c := range it.List(p["ContainerDefinitions"]) {
			for _, v := range append(it.List(it.Map(c)["Environment"]), it.List(it.Map(c)["Secrets"])...) {
				add(program, it.Map(v)["Name"].(string))
			}
		}
	}
	return found
}

// unset are variables that a program reads and that AWS leaves to their
// defaults, each for a reason.
func unset() map[string][]string {
	return map[string][]string{
		"workers/ingest": {
			"ROOMCAST_ADDRESS",        // ECS tells it
			"ROOMCAST_LOAD_BALANCERS", // client addresses are preserved
		},
	}
}

func TestEachWorkerIsGivenWhatItReadsAndReadsWhatItIsGiven(t *testing.T) {
	given := environments(load(t))
	for program, read := range map[string]func(config.Env) error{
		"workers/ingest":     func(e config.Env) error { _, err := config.LoadIngest(e); return err },
		"workers/transcoder": func(e config.Env) error { _, err := config.LoadTranscoder(e); return err },
	} {
		asked := map[string]bool{}
		_ = read(func(name string) string { asked[name] = true; return "" }) // all is missing
		for _, name := range unset()[program] {
			if !asked[name] || given[program][name] {
				t.Errorf("%s: %s is no variable that is left to its default", program, name)
			}
			delete(asked, name)
		}
		if d := cmp.Diff(slices.Sorted(maps.Keys(given[program])), slices.Sorted(maps.Keys(asked))); d != "" {
			t.Errorf("%s: infra/workers.yaml (-) and internal/config (+):\n%s", program, d)
		}
	}
}

func TestBothColoursAreTheSameButForTheirNames(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(it.Root(), "infra", "workers.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "\n  IngestBlueTask:")
	blue, green, ok := strings.Cut(text, "\n  IngestGreenTask:")
	green, _, _ = strings.Cut(green, "\n  # functions/archiver")
	if !ok || len(green) == 0 {
		t.Fatal("the two colours are not where they were")
	}
	blue = strings.NewReplacer("Blue", "Green", "blue", "green").Replace(blue)
	if d := cmp.Diff(strings.TrimSpace(blue), strings.TrimSpace(green)); d != "" {
		t.Errorf("blue (-) and green (+):\n%s", d)
	}
}

func TestEveryAlarmHasItsLineInTheRunbookAndIsOnTheDashboard(t *testing.T) {
	alarms := load(t)["alarms"]
	names := slices.Sorted(maps.Keys(alarms.Of("AWS::CloudWatch::Alarm")))
	b, err := os.ReadFile(filepath.Join(it.Root(), "docs", "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "### "); ok {
			told = append(told, name)
		}
	}
	slices.Sort(told)
	if d := cmp.Diff(names, told); d != "" {
		t.Errorf("infra/alarms.yaml (-) and docs/runbook.md (+):\n%s", d)
	}
	for _, dashboard := range alarms.Of("AWS::CloudWatch::Dashboard") {
		body, _ := it.Map(dashboard["DashboardBody"])["Fn::Sub"].(string)
		for _, name := range names {
			if !strings.Contains(body, `"${`+name+`.Arn}"`) {
				t.Errorf("%s is not on the dashboard", name)
			}
		}
	}
	for name, p := range alarms.Of("AWS::CloudWatch::Alarm") {
		if len(it.List(p["AlarmActions"])) == 0 || !strings.HasSuffix(p["AlarmDescription"].(string), "docs/runbook.md#"+strings.ToLower(name)) {
			t.Errorf("%s wakes nobody, or does not say where to read on", name)
		}
	}
}

func TestEveryDeadLetterQueueAndEveryGivenUpRecordingWakesSomebody(t *testing.T) {
	all := load(t)
	watched := map[string]bool{}
	for _, p := range all["alarms"].Of("AWS::CloudWatch::Alarm") {
		for _, d := range it.List(p["Dimensions"]) {
			if ref, ok := it.Map(it.Map(d)["Value"])["Ref"].(string); ok {
				watched[ref] = true
			}
		}
	}
	for id := range all["queues"].Of("AWS::SQS::Queue") {
		if strings.HasSuffix(id, "Dead") && !watched[id+"Name"] {
			t.Errorf("nobody hears of what lies in %s", id)
		}
	}
	source, err := os.ReadFile(filepath.Join(it.Root(), "internal", "control", "archive.go"))
	if err != nil {
		t.Fatal(err)
	}
	filters := 0
	for _, name := range []string{"functions", "workers"} {
		for id, p := range all[name].Of("AWS::Logs::MetricFilter") {
			pattern := regexp.MustCompile(`^\{ \$\.msg = ("[^"]+") \}$`).FindStringSubmatch(p["FilterPattern"].(string))
			if len(pattern) != 2 || !strings.Contains(string(source), "ErrorContext(ctx, "+pattern[1]) {
				t.Errorf("%s: %s finds no line that is written", name, id)
			}
			for _, m := range it.List(p["MetricTransformations"]) {
				metric, _ := it.Map(it.Map(m)["MetricName"])["Fn::Sub"].(string)
				alarm, _ := it.Map(all["alarms"].Of("AWS::CloudWatch::Alarm")["RecordingsGivenUp"]["MetricName"])["Fn::Sub"].(string)
				if strings.NewReplacer("AWS::StackName", "MetricsStack").Replace(metric) != alarm {
					t.Errorf("%s: %s makes %s, and the alarm reads %s", name, id, metric, alarm)
				}
				filters++
			}
		}
	}
	if filters != 2 {
		t.Errorf("%d filters: the archiver and the transcoder give recordings up", filters)
	}
}
