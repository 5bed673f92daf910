/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/*
 * Leaves signed by authorities with keys and signatures that the mesh does not make
 * itself, as openssl(1) writes them: web.test below root.KIND.
 */
#include "base/clock.h"
#include "base/obj.h"
#include "t.h"
#include "tls/cert.h"

static const struct {
	const char *what, *root, *leaf;
} chains[] = {
	{"P-384 with SHA-384",
		"-----BEGIN CERTIFICATE-----\n"
		"MIIByjCCAVCgAwIBAgIURPUswdX8jHx4JHBqLBzH5iuHy6IwCgYIKoZIzj0EAwMw\n"
		"FDESMBAGA1UEAwwJcm9vdC5wMzg0MB4XDTI2MTEyODE0MzkyOFoXDTM2MTEyNTE0\n"
		"MzkyOFowFDESMBAGA1UEAwwJcm9vdC5wMzg0MHYwEAYHKoZIzj0CAQYFK4EEACID\n"
		"YgAEV5i1hV4oTLfA2HpOqg4GNRLgtY687nr04zpOKyGqQ8bgqIxiH8GcIc215xRW\n"
		"GlzVuxmtdMXH9rPg7PaZ42rYDVvaUFdvzQLRMHh/dKoogA5nZwtRCEaxi6UuuZxS\n"
		"56cao2MwYTAdBgNVHQ4EFgQUm83O2NHIKc+J2dk6Lwt3axilbswwHwYDVR0jBBgw\n"
		"FoAUm83O2NHIKc+J2dk6Lwt3axilbswwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8B\n"
		"Af8EBAMCAgQwCgYIKoZIzj0EAwMDaAAwZQIxAJOpptVVJ5MA3SL7bx8XHmh8ytkL\n"
		"glY2Rl2yxk50HCX8b2JG1PyBIR0Y/7DlGEAzWgIwL6xdcttRW+UtB2EIUH+Z0csy\n"
		"GzNbo/XP2g3m08xqadx0cDlGjc+n4KQ7NyjRRgok\n"
		"-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----\n"
		"MIIBvzCCAUWgAwIBAgIUNWrugGgggQdCtuO8K8AdT108ynwwCgYIKoZIzj0EAwMw\n"
		"FDESMBAGA1UEAwwJcm9vdC5wMzg0MB4XDTI2MTEyODE0MzkyOFoXDTM2MTEyNTE0\n"
		"MzkyOFowEzERMA8GA1UEAwwId2ViLnRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMB\n"
		"BwNCAAS9k2jNyrzoamOhAFBfg7D0sjRIbGyttkcZqTORjUamBjGUxI9OABUb7Ww1\n"
		"qfio/uMwYyX1ofU8C4veBKLnkvLPo3YwdDATBgNVHREEDDAKggh3ZWIudGVzdDAd\n"
		"BgNVHSUEFjAUBggrBgEFBQcDAQYIKwYBBQUHAwIwHQYDVR0OBBYEFEsGC8M+woeJ\n"
		"UQFCM0g/ekaQNiiIMB8GA1UdIwQYMBaAFJvNztjRyCnPidnZOi8Ld2sYpW7MMAoG\n"
		"CCqGSM49BAMDA2gAMGUCMElCsJFhLQBMMEn6DBEd9pqLuNqehizSXK2WQAv5vlsp\n"
		"zB9qccH32v5CTSmoZBiP5gIxAOiSDSyixdYW4Qvtn4yrYB3/8XgWRf2c/MxJKLNB\n"
		"VkWwTDMoLDZb6kQaLnlls4kc8Q==\n"
		"-----END CERTIFICATE-----\n"},
	{"P-521 with SHA-512",
		"-----BEGIN CERTIFICATE-----\n"
		"MIICFTCCAXagAwIBAgIUSJdpsJ3mONd97h7LO8Ui6efs5IQwCgYIKoZIzj0EAwQw\n"
		"FDESMBAGA1UEAwwJcm9vdC5wNTIxMB4XDTI2MTEyODE0MzkyOFoXDTM2MTEyNTE0\n"
		"MzkyOFowFDESMBAGA1UEAwwJcm9vdC5wNTIxMIGbMBAGByqGSM49AgEGBSuBBAAj\n"
		"A4GGAAQBDhyZIBI1xyN0ERcm7GDjKD3fMsoKU0NX1OOxbOV1QOyBmwRDCgxg6ez9\n"
		"4Ki3MqyZTrGgGCyUy/M0jCTvFya321wBNkEWqad50Bnhc/djDQLHj3R+U5/Y7ai6\n"
		"uNHIOFpDAYu6/wUipc/KFYr6X9JNu/CAWFY4ZIuZV7DclQ1O306a9MCjYzBhMB0G\n"
		"A1UdDgQWBBS3dtbhbeeGg2/7zUd2oDBZf3H+YTAfBgNVHSMEGDAWgBS3dtbhbeeG\n"
		"g2/7zUd2oDBZf3H+YTAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwICBDAK\n"
		"BggqhkjOPQQDBAOBjAAwgYgCQgGzcId3nU+CFVhOdebPdSKHgHBwTggFP+47uWyD\n"
		"aQhiwNCt07HcB9/WgzgLPyuATA3iTxPKE8Kr4GApVS80CZq7fgJCAb+dojP0oBX2\n"
		"5dw179pElWliYs2satkJkr+nQ+315wuB0nQJqFDZAJCr3uhrweLU6okVx+0qTaDl\n"
		"80m3v9WDJMWp\n"
		"-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----\n"
		"MIIB5DCCAUWgAwIBAgIUH45P4wGrwzf0GB8goMc6F9AhSYAwCgYIKoZIzj0EAwQw\n"
		"FDESMBAGA1UEAwwJcm9vdC5wNTIxMB4XDTI2MTEyODE0MzkyOFoXDTM2MTEyNTE0\n"
		"MzkyOFowEzERMA8GA1UEAwwId2ViLnRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMB\n"
		"BwNCAAQSTy6ngLgT92lvp+StxAEJ8WHP3xBM2tnQcVjwB5K4wlOSXmIpJXuqWpO8\n"
		"j+iK1ZwAKab2gnak8Ve3LIyj1Qvjo3YwdDATBgNVHREEDDAKggh3ZWIudGVzdDAd\n"
		"BgNVHSUEFjAUBggrBgEFBQcDAQYIKwYBBQUHAwIwHQYDVR0OBBYEFLl/7jiE1ti+\n"
		"nUR8NTXyECNhLKq9MB8GA1UdIwQYMBaAFLd21uFt54aDb/vNR3agMFl/cf5hMAoG\n"
		"CCqGSM49BAMEA4GMADCBiAJCARdkyTLdLpF+jkYNWrqA6qPwjBPKyNWlHPI5YiJ2\n"
		"Yr7D+IgUwMVn3kkGeZ/HyIW/bYqrpMCMLPPazW5+9mYm2xPsAkIBy5J8FI5b57D+\n"
		"Y5J+OY2r+yRfsz/lJnXJudgkUd7VzQzZSsSJFdxtoKq2VjXoJooI3C6Gr6CHS7ry\n"
		"ZpLtlF9jQ/s=\n"
		"-----END CERTIFICATE-----\n"},
	{"RSA with SHA-512",
		"-----BEGIN CERTIFICATE-----\n"
		"MIIDFzCCAf+gAwIBAgIUEUbZ6gjUP27HfD4mkZp3s2gIaMMwDQYJKoZIhvcNAQEN\n"
		"BQAwEzERMA8GA1UEAwwIcm9vdC5yc2EwHhcNMjYxMTI4MTQzOTI5WhcNMzYxMTI1\n"
		"MTQzOTI5WjATMREwDwYDVQQDDAhyb290LnJzYTCCASIwDQYJKoZIhvcNAQEBBQAD\n"
		"ggEPADCCAQoCggEBAI4oLDoVNXd2tGAVCln5UIx6fxkYMZp6etj1SUwzvvMSpdAM\n"
		"5W61s2nA7eJ0E4h3w984F/fbJtzsSWgntUvtNvYfv3Ayt1PiWW5mNEiCoJsixpBH\n"
		"Yi60RxPbg0Ef3ujYpQbibQfMY29FyEngzFX8LzQM4RI2VOQPKLk01kCt9fNRuEZS\n"
		"zBKLW3MzOPvUtSo5IjOawTbmeW+eHpYbL+xBwCFmu/rRNSd2RM77vA1fyio7Wxze\n"
		"LlTa4bfuSGjvypnVm2GzRXzb/OFHx+H415cP3PRo+IXTH4r3Dg1Vw2LS1oHMS62X\n"
		"nAnJtaVHSkwMbBxgf/JkfKmJd9oqIparTUqcAkMCAwEAAaNjMGEwHQYDVR0OBBYE\n"
		"FFYyLxWdpXZxofTABpiHO8L7NYW9MB8GA1UdIwQYMBaAFFYyLxWdpXZxofTABpiH\n"
		"O8L7NYW9MA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgIEMA0GCSqGSIb3\n"
		"DQEBDQUAA4IBAQBLKbHwlwPtNDD0/vd9RIevfLIfA7V/whUusRbtk/4oP61zsiGc\n"
		"RNPpqAGid0w5M3/0Dw6drBr1ry5Jc1kUXuOM904VTABz0tjj4yVvKMnTrn419sBg\n"
		"Y2D6R3zAucXt9pU2ljolK8aAVrH+dsRalGJfwuWum6U7P8k0/W5RHMPsQK7IjvKY\n"
		"a9Cr8+Mp/NJpO3Ra49F01OWXpZAB2pvLOu5VP05erlGejeDOtVJoNxn7nVLiGkXt\n"
		"O52sYcIUlTzjhwENlQiujC8dKpyYnkQa00CORqWlJkdL0BCDC5b6C4nClAln1DNU\n"
		"QeyJW4e78hxtVuXlcZngw775q5wkozNJnqwm\n"
		"-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----\n"
		"MIICXzCCAUegAwIBAgIUcWpcI8P5nbu5M1ms51qhtUDuh24wDQYJKoZIhvcNAQEN\n"
		"BQAwEzERMA8GA1UEAwwIcm9vdC5yc2EwHhcNMjYxMTI4MTQzOTI5WhcNMzYxMTI1\n"
		"MTQzOTI5WjATMREwDwYDVQQDDAh3ZWIudGVzdDBZMBMGByqGSM49AgEGCCqGSM49\n"
		"AwEHA0IABHMxeAckLkvvGw/DLrqnPT6Maf4NBSiStAk9iZ38zM0n4TpoKp6CdLx/\n"
		"a+Pq7XFJogAb5qgVPROLy+rg9XftCF6jdjB0MBMGA1UdEQQMMAqCCHdlYi50ZXN0\n"
		"MB0GA1UdJQQWMBQGCCsGAQUFBwMBBggrBgEFBQcDAjAdBgNVHQ4EFgQUAZ8JpK/i\n"
		"rO074zZ1l2Rs7I3H9NMwHwYDVR0jBBgwFoAUVjIvFZ2ldnGh9MAGmIc7wvs1hb0w\n"
		"DQYJKoZIhvcNAQENBQADggEBAEgAfSdjLkO+y19abeuy9WxcYQ///BL4uqN4EvGI\n"
		"+vcsuSdJMsZDF4KgcyyDi0gFwyysuIjugVoj9SnePITG8atVaNtj1NrApK0cke4j\n"
		"2nzt4iLCgTajLxPtZ/Bx00FQtiatBJG55fRWndOImic2wJe3LtVcErZRx2PqMnxY\n"
		"Iz/A6b04NoSUDumbfaO6AHLMtc5E3ywkpV3GdZmk1MEzjkvCbHOAEU3flCpl2gMh\n"
		"wlqmfjx7N4BO3YjQFlg2E1XeowV8D19zMhzGar0UG+lLTgtuViVQeR5WOL8T/21l\n"
		"99c5C9l0JJmUXA4xAAZvQWyl1bSKvGHquqFL/eG5R+PoIEk=\n"
		"-----END CERTIFICATE-----\n"},
	{"RSA-PSS with SHA-256",
		"-----BEGIN CERTIFICATE-----\n"
		"MIIDfzCCAjOgAwIBAgIUan3heo+GriW398R9vA7PyPGXmLwwQQYJKoZIhvcNAQEK\n"
		"MDSgDzANBglghkgBZQMEAgEFAKEcMBoGCSqGSIb3DQEBCDANBglghkgBZQMEAgEF\n"
		"AKIDAgEgMBMxETAPBgNVBAMMCHJvb3QucHNzMB4XDTI2MTEyODE0MzkzMVoXDTM2\n"
		"MTEyNTE0MzkzMVowEzERMA8GA1UEAwwIcm9vdC5wc3MwggEiMA0GCSqGSIb3DQEB\n"
		"AQUAA4IBDwAwggEKAoIBAQDFMUzD+V0e6LxhBsgkbUFQk6WtQ6mDbU2rZswgdelP\n"
		"EerXxYmmrczTbgV2NslIdP9KuIFzj+VGaIWvZtB3bh6tEJM5qooqjttMqQPuSm6M\n"
		"PV5RyCHoajvTbq3+J+JTyyewIkgSy74zuUMg6OTLWd2Ik/9qw6h25352duBUV/cm\n"
		"RLvr+QodxZRh+2vpsYxm0ppdEEx+KQiVOaqissrEqDC1Q+hOocI3VMSHkRAqnwWS\n"
		"ATY12SzGO5F2kZigovurDewPiV0QQq7zsDAuMsB6cYJWntmCLrgm6bOYZxp2Ko0C\n"
		"uW4K3bOjLKBK6Aula1y8hGa60Vnx/q1/dQlEe2mFjAOnAgMBAAGjYzBhMB0GA1Ud\n"
		"DgQWBBRyCKyvo4qj1pnhSorQPjr83/2bajAfBgNVHSMEGDAWgBRyCKyvo4qj1pnh\n"
		"SorQPjr83/2bajAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwICBDBBBgkq\n"
		"hkiG9w0BAQowNKAPMA0GCWCGSAFlAwQCAQUAoRwwGgYJKoZIhvcNAQEIMA0GCWCG\n"
		"SAFlAwQCAQUAogMCASADggEBAKXMO43xOl1cAHYDxbSod7Bg3G+OXI08yQgoDI9S\n"
		"PTcVaUaCsNSmp4JksBrz8c7Kqe9DqwGLxqUb93fkPleZh60Vl9Usipl6QZOPF2sS\n"
		"DIQU2c9SHhdyv9M6+728DGVaqyAHH+mp+axN6GWnHpXsDrMMwO9iKb5bF/iWoIe/\n"
		"gZl/Uorr9sVdM8omUcpSJ78TnMUNgFvVH7kzD2L7bjKamV38YxCQWCjTzEnBjLYH\n"
		"3qlmfb4/hUxxR3rDl3Cd2w4/p5aZnXttKX0+bS9/4MuOz8r5ZtojeZS6nswhLwOb\n"
		"9NUjMjsGsGphHufyhC/6VfcQLFaDUZDC/phSVd1HIaHs1AU=\n"
		"-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----\n"
		"MIICxzCCAXugAwIBAgIUJ87lxdMzzebzkoM/5+U1VELx1RwwQQYJKoZIhvcNAQEK\n"
		"MDSgDzANBglghkgBZQMEAgEFAKEcMBoGCSqGSIb3DQEBCDANBglghkgBZQMEAgEF\n"
		"AKIDAgEgMBMxETAPBgNVBAMMCHJvb3QucHNzMB4XDTI2MTEyODE0MzkzMVoXDTM2\n"
		"MTEyNTE0MzkzMVowEzERMA8GA1UEAwwId2ViLnRlc3QwWTATBgcqhkjOPQIBBggq\n"
		"hkjOPQMBBwNCAARZXTPY+ySil9XpwZDe923RntxddBDjSp8YwB+e6I1/BILNdxLG\n"
		"HAYlppFryL5j4cE5QexAD9nrDhSNJ0Z07fuuo3YwdDATBgNVHREEDDAKggh3ZWIu\n"
		"dGVzdDAdBgNVHSUEFjAUBggrBgEFBQcDAQYIKwYBBQUHAwIwHQYDVR0OBBYEFF1V\n"
		"95FjIpuMRz5imyzhbeW4at6NMB8GA1UdIwQYMBaAFHIIrK+jiqPWmeFKitA+Ovzf\n"
		"/ZtqMEEGCSqGSIb3DQEBCjA0oA8wDQYJYIZIAWUDBAIBBQChHDAaBgkqhkiG9w0B\n"
		"AQgwDQYJYIZIAWUDBAIBBQCiAwIBIAOCAQEAw6iECTfWJDRrSyWQidRk1v83ndDY\n"
		"+TUHIA4lPNcJNY4JA4vKdW2/WPjJmnOCyOiU2tlGSMDWgPhWCgRFBwtN6mjxWB1f\n"
		"GjDSp3UrRMZlgK9qNSu7RxgC8P3gbnwrF02n2+noG5nNNLMfB04fbNgJCvduhubR\n"
		"OTqnMFr0UlLLWg24wYZtFMF8sTTMAANFXUNxvROEQ+iIMHMyD2zq+QzUKc17k2b2\n"
		"Yko4YCTdK+uLBRhga5cLud22zOKQpRtzoeyWOTZpsbEMQeaOyydTjpLfsJkHQpbx\n"
		"/2LegXkcpEHCDkJjS1y2w1YVsq4bWJnCX2wRNuofNl9f26QZx1kx2SHmvg==\n"
		"-----END CERTIFICATE-----\n"},
};
/* clang-format on */

static uint64_t inside(const struct cert *c)
{
	struct cert_info info;

	cert_info(c, &info);
	return info.not_before + 3600 * NS_PER_S;
}

TEST(chains_of_every_kind_of_key_are_verified)
{
	for (size_t i = 0; i < countof(chains); i++) {
		struct cert *root = cert_read(slice_of(chains[i].root), NULL);
		struct cert *leaf = cert_read(slice_of(chains[i].leaf), NULL);
		struct err e;

		if (!root || !leaf || cert_verify(leaf, root, inside(leaf), &e) < 0)
			T_FAIL("%s", chains[i].what);
		cert_free(root);
		cert_free(leaf);
	}
}

TEST(a_chain_is_not_verified_by_another_root)
{
	for (size_t i = 0; i < countof(chains); i++)
		for (size_t k = 0; k < countof(chains); k++) {
			struct cert *root = cert_read(slice_of(chains[k].root), NULL);
			struct cert *leaf = cert_read(slice_of(chains[i].leaf), NULL);

			if ((cert_verify(leaf, root, inside(leaf), NULL) == 0) !=
				(i == k))
				T_FAIL("%s by %s", chains[i].what, chains[k].what);
			cert_free(root);
			cert_free(leaf);
		}
}
