package infratest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	it "github.com/roomcast/roomcast/internal/infratest"
)

// open are the only ports that the internet reaches.
func open() []string { return []string{"1935", "443", "80"} }

// insecure tells what a template leaves open, unencrypted or unlogged.
func insecure(t it.Template) []string {
	var problems []string
	wrong := func(id, format string, args ...any) {
		problems = append(problems, t.Name+": "+id+" "+fmt.Sprintf(format, args...))
	}
	for id, p := range t.Of("AWS::S3::Bucket") {
		if len(it.Map(p["BucketEncryption"])) == 0 {
			wrong(id, "is not encrypted")
		}
		block := it.Map(p["PublicAccessBlockConfiguration"])
		for _, k := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
			if block[k] != "true" {
				wrong(id, "has no %s", k)
			}
		}
	}
	for id, p := range t.Of("AWS::SQS::Queue") {
		if p["SqsManagedSseEnabled"] != "true" && p["KmsMasterKeyId"] == nil {
			wrong(id, "is not encrypted")
		}
	}
	for id, p := range t.Of("AWS::SNS::Topic") {
		if p["KmsMasterKeyId"] == nil {
			wrong(id, "is not encrypted")
		}
	}
	for id, p := range t.Of("AWS::DynamoDB::Table") {
		if it.Map(p["PointInTimeRecoverySpecification"])["PointInTimeRecoveryEnabled"] != "true" {
			wrong(id, "cannot be restored")
		}
	}
	for id, p := range t.Of("AWS::Logs::LogGroup") {
		if p["RetentionInDays"] == nil {
			wrong(id, "keeps its lines for ever")
		}
	}
	for id, p := range t.Of("AWS::EC2::SecurityGroup") {
		for _, rule := range it.List(p["SecurityGroupIngress"]) {
			it.Walk(rule, func(v any) {
				m := it.Map(v)
				anywhere := m["CidrIp"] == "0.0.0.0/0" || m["CidrIpv6"] == "::/0"
				if anywhere && (m["FromPort"] != m["ToPort"] || !slices.Contains(open(), fmt.Sprint(m["FromPort"])) || id != "BalancerSecurity") {
					wrong(id, "lets the internet in at %v", m["FromPort"])
				}
			})
		}
		for _, rule := range it.List(p["SecurityGroupEgress"]) {
			if it.Map(rule)["IpProtocol"] == "-1" {
				wrong(id, "lets everything out")
			}
		}
	}
	for id, p := range t.Of("AWS::ElasticLoadBalancingV2::TargetGroup") {
		for _, want := range []string{
			"target_health_state.unhealthy.connection_termination.enabled=false", "deregistration_delay.connection_termination.enabled=false",
			"preserve_client_ip.enabled=true", "deregistration_delay.timeout_seconds=3600",
		} {
			if !slices.ContainsFunc(it.List(p["TargetGroupAttributes"]), func(a any) bool {
				return fmt.Sprintf("%v=%v", it.Map(a)["Key"], it.Map(a)["Value"]) == want
			}) {
				wrong(id, "has no %s", want)
			}
		}
	}
	for id, p := range t.Of("AWS::ElasticLoadBalancingV2::Listener") {
		if p["Protocol"] == "TLS" && !strings.Contains(fmt.Sprint(p["SslPolicy"]), "TLS13") {
			wrong(id, "speaks old TLS")
		}
	}
	problems = append(problems, insecureTasks(t)...)
	for id, p := range t.Of("AWS::CloudFront::Distribution") {
		c := it.Map(p["DistributionConfig"])
		for _, b := range append(it.List(c["CacheBehaviors"]), c["DefaultCacheBehavior"]) {
			if v := it.Map(b)["ViewerProtocolPolicy"]; v != "redirect-to-https" && v != "https-only" && it.Map(b)["PathPattern"] != "/time" {
				wrong(id, "serves %v without TLS", it.Map(b)["PathPattern"])
			}
		}
	}
	slices.Sort(problems)
	return problems
}

func insecureTasks(t it.Template) []string {
	var problems []string
	wrong := func(id, format string, args ...any) {
		problems = append(problems, t.Name+": "+id+" "+fmt.Sprintf(format, args...))
	}
	for id, p := range t.Of("AWS::ECS::TaskDefinition") {
		for _, c := range it.List(p["ContainerDefinitions"]) {
			m := it.Map(c)
			if exec := it.List(it.Map(m["ReadonlyRootFilesystem"])["Fn::If"]); m["ReadonlyRootFilesystem"] != "true" &&
				(len(exec) != 3 || exec[0] != "AllowsExec" || exec[2] != "true") {
				wrong(id, "may write its root file system")
			}
			if user := fmt.Sprint(m["User"]); m["User"] == nil || strings.HasPrefix(user, "0") || strings.HasPrefix(user, "root") {
				wrong(id, "runs as root")
			}
			if m["LogConfiguration"] == nil {
				wrong(id, "logs nowhere")
			}
			for _, v := range it.List(m["Environment"]) {
				if name := fmt.Sprint(it.Map(v)["Name"]); strings.Contains(name, "SECRET") || strings.HasSuffix(name, "TOKEN") {
					wrong(id, "has the secret %s in its environment, not from Secrets Manager", name)
				}
			}
			if image := it.Map(m["Image"]); len(image) == 0 {
				wrong(id, "has a fixed image, not one by digest")
			}
		}
	}
	for id, p := range t.Of("AWS::ECS::Service") {
		if exec := it.List(it.Map(p["EnableExecuteCommand"])["Fn::If"]); len(exec) != 3 || exec[0] != "AllowsExec" {
			wrong(id, "allows ECS Exec")
		}
	}
	return problems
}

func TestTheTemplatesLeaveNothingOpen(t *testing.T) {
	for _, tmpl := range load(t) {
		for _, p := range insecure(tmpl) {
			t.Error(p)
		}
	}
	workers := load(t)["workers"]
	if workers.Section("Parameters") == nil || it.Map(workers.Section("Parameters")["ExecuteCommand"])["Default"] != "false" {
		t.Error("ECS Exec is not off by default")
	}
	for _, image := range []string{"BlueImage", "GreenImage", "TranscoderImage"} {
		if pattern := fmt.Sprint(it.Map(workers.Section("Parameters")[image])["AllowedPattern"]); !strings.Contains(pattern, "@sha256:") {
			t.Errorf("%s is not by digest: %s", image, pattern)
		}
	}
}

func TestAnOpenTemplateIsFound(t *testing.T) {
	tmpl, err := it.Parse([]byte(`
Resources:
  B: {Type: AWS::S3::Bucket, Properties: {PublicAccessBlockConfiguration: {BlockPublicAcls: true, BlockPublicPolicy: true, IgnorePublicAcls: true}}}
  Q: {Type: AWS::SQS::Queue}
  L: {Type: AWS::Logs::LogGroup}
  G: {Type: AWS::EC2::SecurityGroup, Properties: {SecurityGroupIngress: [{FromPort: 22, ToPort: 22, CidrIp: 0.0.0.0/0}], SecurityGroupEgress: [{IpProtocol: "-1"}]}}
  T: {Type: AWS::ECS::TaskDefinition, Properties: {ContainerDefinitions: [{Image: x:latest, Environment: [{Name: A_SECRET}]}]}}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		": B has no RestrictPublicBuckets", ": B is not encrypted", ": G lets everything out", ": G lets the internet in at 22",
		": L keeps its lines for ever", ": Q is not encrypted", ": T has a fixed image, not one by digest",
		": T has the secret A_SECRET in its environment, not from Secrets Manager", ": T logs nowhere", ": T may write its root file system", ": T runs as root",
	}
	if d := cmp.Diff(want, insecure(tmpl)); d != "" {
		t.Error(d)
	}
}

func TestRecordingsOutliveTheStackAndEveryRule(t *testing.T) {
	data := load(t)["data"]
	for _, id := range []string{"Table", "Media"} {
		r := it.Map(data.Section("Resources")[id])
		if r["DeletionPolicy"] != "RetainExceptOnCreate" || r["UpdateReplacePolicy"] != "Retain" {
			t.Errorf("%s goes with the stack", id)
		}
	}
	for _, rule := range it.List(it.Map(data.Of("AWS::S3::Bucket")["Media"]["LifecycleConfiguration"])["Rules"]) {
		m := it.Map(rule)
		if m["ExpirationInDays"] != nil && m["Prefix"] != "live/" {
			t.Errorf("rule %v expires recordings", m["Id"])
		}
	}
}
