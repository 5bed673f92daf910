/* SPDX-License-Identifier: Apache-2.0 */
#include "chart/tmpl.h"

#include "base/obj.h"
#include "t.h"
#include "wire/yaml.h"

/* What "." is in all of these. */
static const char root_yaml[] = "Values:\n"
				"  name: mesh\n"
				"  num: 3\n"
				"  big: 1000660000\n"
				"  good: true\n"
				"  bad: false\n"
				"  nothing: ''\n"
				"  none: {}\n"
				"  list: [b, a]\n"
				"  map: {z: 1, a: 2}\n"
				"  lines: \"one\\ntwo\\n\"\n";

static void sum(struct slice s, char out[65])
{
	snprintf(out, 65, "sum-of-%zu", s.n);
}

static const struct tmpl_host host = {.sha256_hex = sum};

static int render(const char *text, struct buf *out, struct err *e)
{
	struct tmpl_set *set = tmpl_new(&host);
	struct json *root = yaml_parse(SLICE(root_yaml), NULL);
	int r = tmpl_add(set, "t.yaml", slice_of(text), e);

	OK(root);
	if (r == 0)
		r = tmpl_check(set, e);
	if (r == 0)
		r = tmpl_run(set, "t.yaml", root, out, e);
	json_free(root);
	tmpl_free(set);
	return r;
}

#define DEF(name, body) "{{ define \"" name "\" }}" body "{{ end }}"

static const struct {
	const char *text, *gives;
} table[] = {
	{"plain", "plain"},
	{"", ""},
	/* trimming */
	{"a {{- \"x\" -}} b", "axb"},
	{"a {{ \"x\" }} b", "a x b"},
	{"a\n{{- /* nothing */ -}}\nb", "ab"},
	{"{{/* c */}}a", "a"},
	{"a\n  {{- if true }}\n  b\n  {{- end }}\nc", "a\n  b\nc"},
	{"{{ -3 }}", "-3"},
	/* values */
	{"{{ .Values.name }}", "mesh"},
	{"{{ $.Values.name }}", "mesh"},
	{"{{ .Values.absent }}|", "|"},
	{"{{ nil }}|", "|"},
	{"{{ .Values.num }} {{ .Values.good }}", "3 true"},
	{"{{ .Values.big | int64 }}", "1000660000"},
	{"{{ `raw \"text\"` }}", "raw \"text\""},
	{"{{ \"a\\n\\\"b\\\"\" }}", "a\n\"b\""},
	{"{{ (dict \"a\" \"b\").a }}", "b"},
	/* conditions */
	{"{{ if .Values.good }}a{{ else }}b{{ end }}", "a"},
	{"{{ if .Values.none }}a{{ else if .Values.bad }}b{{ else }}c{{ end }}", "c"},
	{"{{ if 0 }}a{{ else if \"x\" }}b{{ end }}", "b"},
	{"{{ with .Values.map }}{{ .z }}{{ end }}", "1"},
	{"{{ with .Values.nothing }}a{{ else }}{{ .Values.num }}{{ end }}", "3"},
	{"{{ and 1 0 \"x\" }}{{ or \"\" \"y\" (fail \"no\") }}", "0y"},
	{"{{ not .Values.bad }}", "true"},
	/* ranges */
	{"{{ range .Values.list }}[{{ . }}]{{ end }}", "[b][a]"},
	{"{{ range $i, $v := .Values.list }}{{ $i }}{{ $v }}{{ end }}", "0b1a"},
	{"{{ range $k, $v := .Values.map }}{{ $k }}={{ $v }};{{ end }}", "a=2;z=1;"},
	{"{{ range $v := .Values.list }}{{ $v }}{{ end }}", "ba"},
	{"{{ range .Values.none }}a{{ else }}b{{ end }}", "b"},
	/* variables */
	{"{{ $a := 1 }}{{ if true }}{{ $a = 2 }}{{ end }}{{ $a }}", "2"},
	{"{{ $a := 1 }}{{ if true }}{{ $a := 2 }}{{ end }}{{ $a }}", "1"},
	{"{{ $d := dict \"a\" 1 }}{{ $_ := set $d \"a\" 2 }}{{ $d.a }}", "2"},
	{"{{ $d := deepCopy .Values }}{{ $_ := unset $d \"name\" }}{{ $d.name }}|"
	 "{{ .Values.name }}",
		"|mesh"},
	{"{{ $d := dict \"a\" \"x\" }}{{ $x := $d.a }}{{ $_ := set $d \"a\" 2 }}{{ $x "
	 "}}",
		"x"},
	/* templates */
	{DEF("t", "<{{ . }}>") "{{ template \"t\" .Values.name }}", "<mesh>"},
	{DEF("t", "<{{ . }}>") "{{ include \"t\" 1 | quote }}", "\"<1>\""},
	{DEF("t", "{{ $.x }}") "{{ include \"t\" (dict \"x\" 5) }}", "5"},
	{"{{ include \"t\" 1 }}" DEF("t", "later"), "later"},
	/* functions */
	{"{{ \"a\" | printf \"%s-%s\" \"b\" }}", "b-a"},
	{"{{ printf \"%d%% %v %q\" 5 true \"x\" }}", "5% true \"x\""},
	{"{{ .Values.nothing | default \"d\" }}{{ .Values.name | default \"d\" }}",
		"dmesh"},
	{"{{ quote 5 }}{{ quote nil }}{{ quote \"a\\\"\" }}", "\"5\"\"a\\\"\""},
	{"{{ eq 1 1 }}{{ eq \"a\" \"b\" \"a\" }}{{ ne 1 2 }}{{ eq nil \"\" }}",
		"truetruetruefalse"},
	{"{{ gt 2 1 }}{{ gt 1 2 }}", "truefalse"},
	{"{{ ternary \"a\" \"b\" .Values.good }}", "a"},
	{"{{ trim \"  a b \\n\" }}|{{ trimSuffix \"m\" \"100m\" }}|{{ hasSuffix \"m\" "
	 "\"100m\" }}",
		"a b|100|true"},
	{"{{ \"a,b,\" | replace \",\" \"--\" }}", "a--b--"},
	{"{{ hasPrefix \"a\" \"ab\" }}", "true"},
	{"x:{{ \"a\\nb\" | nindent 2 }}", "x:\n  a\n  b"},
	{"{{ \"a\\nb\" | indent 1 }}", " a\n b"},
	{"{{ toYaml .Values.map }}", "a: 2\nz: 1"},
	{"{{ toYaml .Values.none }}{{ toYaml .Values.list | nindent 0 }}",
		"{}\n- b\n- a"},
	{"{{ b64enc \"mesh\" }}", "bWVzaA=="},
	{"{{ b64dec \"bWVzaA==\" }}", "mesh"},
	{"{{ get (dict \"a.b\" \"c\") \"a.b\" }}{{ get dict \"a\" }}", "c"},
	{"{{ sha256sum \"mesh\" }}", "sum-of-4"},
	{"{{ add 1 2 3 }} {{ div 7 2 }} {{ int \"12\" }} {{ ceil (float64 \"1.2\") }}",
		"6 3 12 2"},
	{"{{ join \",\" .Values.list }}{{ list 1 2 | join \"-\" }}", "b,a1-2"},
	{"{{ hasKey .Values \"num\" }}{{ empty .Values.none }}", "truetrue"},
	{"{{ required \"why\" .Values.name }}", "mesh"},
	{"{{ toString 5 | trimSuffix \"5\" }}|", "|"},
};

TEST(a_template_gives_what_go_gives)
{
	for (size_t i = 0; i < countof(table); i++) {
		struct buf out = BUF_INIT;
		struct err e = {0};

		if (render(table[i].text, &out, &e))
			T_FAIL("%s: %s", table[i].text, e.msg);
		if (!slice_is(buf_slice(&out), table[i].gives))
			T_FAIL("%s: \"%.*s\"", table[i].text,
				SLICE_FMT(buf_slice(&out)));
		buf_fini(&out);
	}
}

static const struct {
	const char *text, *says;
} wrong[] = {
	{"{{ nosuch 1 }}", "t.yaml:1: no function is called \"nosuch\""},
	{"\n\n{{ if true }}", "t.yaml:3: {{ end }} is missing"},
	{"{{ if true }}{{ else }}", "{{ end }} is missing"},
	{"{{ end }}", "nothing is open"},
	{"{{ else }}", "nothing is open"},
	{"{{ \"a }}", "has no end"},
	{"{{ `a }}", "has no end"},
	{"{{ \"\\x\" }}", "unknown escape"},
	{"{{/* a }}", "a comment has no end"},
	{"{{ ", "an action has no end"},
	{"{{ 1", "}} is missing"},
	{"{{ (1 }}", "a ) is missing"},
	{"{{ 1x }}", "1x is not a whole number"},
	{"{{ 99999999999999999999 }}", "is not a whole number"},
	{"{{ . 1 }}", "only a function has arguments"},
	{"{{ 1 | 2 }}", "after | comes a function"},
	{"{{ quote }}", "quote takes 1 to 1 arguments, not 0"},
	{"{{ quote 1 2 }}", "quote takes 1 to 1 arguments, not 2"},
	{"{{ default (quote) 1 }}", "quote takes"},
	{"{{ .. }}", "only a function has arguments"},
	{"{{ $.. }}", "a name is missing after the dot"},
	{"{{ $ := 1 }}", "a variable has no name"},
	{"{{ @ }}", "\"@\" is not expected here"},
	{"{{ break }}", "no function is called \"break\""},
	{"{{ define \"a\" }}", "{{ end }} of a define is missing"},
	{"{{ if true }}{{ define \"a\" }}{{ end }}{{ end }}", "define stands inside"},
	{DEF("a", "") DEF("a", ""), "\"a\" is defined twice"},
	{"{{ template \"none\" . }}", "t.yaml:1: no template is called \"none\""},
	{"{{ if false }}{{ include \"none\" . }}{{ end }}",
		"no template is called \"none\""},
	/* when it runs */
	{"\n{{ .Values.absent.more }}", "t.yaml:2: there is no .more of what is nil"},
	{"{{ .Values.name.more }}", "there is no .more of what is no map"},
	{"{{ $none }}", "no variable is called $none"},
	{"{{ $none = 1 }}", "no variable is called $none"},
	{"{{ if true }}{{ $a := 1 }}{{ end }}{{ $a }}", "no variable is called $a"},
	{"{{ $a := 1 }}" DEF("t", "{{ $a }}") "{{ include \"t\" . }}",
		"no variable is called $a"},
	{"{{ .Values.map }}", "printed with toYaml"},
	{"{{ range 5 }}{{ end }}", "a range is over"},
	{"{{ eq 1 \"1\" }}", "different kinds"},
	{"{{ fail \"because\" }}", "t.yaml:1: because"},
	{"{{ required \"who?\" .Values.nothing }}", "who?"},
	{"{{ int \"x\" }}", "a whole number is expected"},
	{"{{ div 1 0 }}", "cannot be divided"},
	{"{{ indent 1000 \"a\" }}", "an indent"},
	{"{{ printf \"%s\" }}", "one for each argument"},
	{"{{ printf \"%x\" 1 }}", "printf knows"},
	{"{{ trim 5 }}", "a text is expected"},
	{"{{ dict \"a\" }}", "in turn"},
	{"{{ set 1 \"a\" 2 }}", "a map and a name"},
	{"{{ genPrivateKey \"ecdsa\" }}", "given in the values"},
	{DEF("t", "{{ include \"t\" . }}") "{{ include \"t\" . }}", "more than 64"},
};

TEST(what_is_not_understood_is_named_with_its_line)
{
	for (size_t i = 0; i < countof(wrong); i++) {
		struct buf out = BUF_INIT;
		struct err e = {0};

		if (render(wrong[i].text, &out, &e) == 0)
			T_FAIL("%s: \"%.*s\"", wrong[i].text,
				SLICE_FMT(buf_slice(&out)));
		if (!strstr(e.msg, wrong[i].says))
			T_FAIL("%s: %s", wrong[i].text, e.msg);
		buf_fini(&out);
	}
}

TEST(a_template_cannot_go_on_for_ever)
{
	static const char doubling[] =
		"{{ $a := \"xxxxxxxxxxxxxxxx\" }}{{ $l := list 1 2 3 4 5 6 7 8 9 10 }}"
		"{{ range $l }}{{ range $l }}{{ $a = printf \"%s%s\" $a $a }}"
		"{{ end }}{{ end }}";
	struct buf out = BUF_INIT, deep = BUF_INIT;
	struct err e = {0};

	OK(render(doubling, &out, &e) < 0);
	for (int i = 0; i < 1000; i++)
		buf_text(&deep, "{{ if true }}");
	buf_char(&deep, '\0');
	OK(render(deep.p, &out, &e) < 0 && strstr(e.msg, "levels"));
	buf_clear(&deep);
	buf_text(&deep, "{{ ");
	for (int i = 0; i < 1000; i++)
		buf_char(&deep, '(');
	buf_char(&deep, '\0');
	OK(render(deep.p, &out, &e) < 0 && strstr(e.msg, "levels"));
	buf_fini(&deep);
	buf_fini(&out);
}

TEST(a_name_that_the_values_lack_is_found_before)
{
	static const struct {
		const char *text, *says;
	} names[] = {
		{"{{ .Values.name }}{{ .Values.map.z }}{{ .Values.none.any }}", NULL},
		{"{{ if false }}{{ .Values.nome }}{{ end }}", "no \"nome\""},
		{"{{ $.Values.map.y }}", "no \"y\""},
	};
	struct json *root = yaml_parse(SLICE(root_yaml), NULL);

	for (size_t i = 0; i < countof(names); i++) {
		struct tmpl_set *set = tmpl_new(NULL);
		struct err e = {0};
		int r;

		OK(tmpl_add(set, "t.yaml", slice_of(names[i].text), NULL) == 0);
		r = tmpl_check_values(set, json_get(root, "Values"), &e);
		if (names[i].says ? !r || !strstr(e.msg, names[i].says) : r)
			T_FAIL("%s: %s", names[i].text, e.msg);
		tmpl_free(set);
	}
	json_free(root);
}
