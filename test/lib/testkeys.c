/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/* Keys that the mesh reads and never makes; they protect nothing. */
#include <string.h>

#include "base/obj.h"
#include "testca.h"

static const struct {
	const char *kind, *pem;
} keys[] = {
	{"p384",
		"-----BEGIN PRIVATE KEY-----\n"
		"MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDCEumJUcrsYYJotEBq3\n"
		"aOXYkvCKXSxPE+Zux3wEHiKrfN3buCnuojDQ3T15gfPnZE2hZANiAARaoBQZJ2Y6\n"
		"bVSFsphBNxtk1QYlj1REFvNGdPehdrmMtYbbC+wdkicy7cmdwLigzOD6v9a9/FfE\n"
		"vFIok2+jKYumcgoBH083Fp9gdNxmaEmLCSHM2Dm5JBSBA1GIS+AlkMg=\n"
		"-----END PRIVATE KEY-----\n"},
	{"p521",
		"-----BEGIN PRIVATE KEY-----\n"
		"MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIABNjt7CsouADfXSsa\n"
		"kZDK7HYOJ0Dle7ufJwjz8T4Mkxhgx1b6Yzw7fD3HDLLj37g14d8sjIsJPLnQHRCp\n"
		"VEY9JKihgYkDgYYABAGWhdt8LU+r2OFp5S4bdywPQLay1ONDRzZSojIQzpm9BM5G\n"
		"ny4yfEIkFDMagwzoKTp4kw991fW1Q56WNzdCDUK3AgFAZer6nw+ISzB5gcXLQIwp\n"
		"cniGSMuydb7EApPdkaqWCUJJpN2+SlBUEdomtWgM7PHaUgv5ItKJh5gGO6ILIIMm\n"
		"1A==\n"
		"-----END PRIVATE KEY-----\n"},
	{"rsa",
		"-----BEGIN PRIVATE KEY-----\n"
		"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDWqu0oxrKLTJQC\n"
		"cmZVFCLg9akwEKb6F5ydI6BaASP91/lQI+s21gDJ12ZTOHa/grRsgVoWZHf56GQH\n"
		"NYVkzr8ADx6f4puS5Dv7HJBK2s8b6u6glNPsKi/eeJS1QRXBu2rIpCTm04Pb7+dA\n"
		"35QZgJKGjSd8ZMLLSVHqd3erPc4l/nfEOXNDO+THe9K+uanUgRrKGOQuLCzKv2R9\n"
		"kODQzmZK3s8nubXCJWvF31MorBQCQC4YUMk1ODqCVlfR5i2i6KT8CqroQ4dL4ez4\n"
		"AECrlVpP3a5h3jrrsS0lQYTU8CvpeLtYFXNKdmvO5tg2vaSui8t7r+qGJg8MVS+5\n"
		"BYQpqYQdAgMBAAECggEAFLasCSv5FPNn8b9/q9R0VCAoOeTVc9rc6BXEtoKXKjqR\n"
		"ij/ZBbLLIy7HZx7S6IJQbgriOjhqEkFwC3kI3NQNPpB27EcVq2wd9IpKSwrHgsJd\n"
		"0b1ioI5mjZE1ijLUSlwO/vrFu8crmUiSGCKqu/Y5zUVoCrr/R9XUk2sBL1MYpfY1\n"
		"cgn0mqgiUOEgQt1ooLR0sWfsFBmRzoh4DhYOMuDy7gQ54lGYpuS2n9O9Eo6MSmbW\n"
		"S2ZE6yX0bAju9HLdK/mp9UI75FqmIbJ2nOtBGetQ+rauhKv/wWmHsQpEWa5jjK/w\n"
		"7a7hfj8SaE9CX4MzGd/xKH2/ix3JJq/FzB/fuYhQcQKBgQDtwreI4jwZQPh9tE0j\n"
		"coTDgrA4XKupe8UZDMpkDMr0ARqRUKhGQnZkobbwrzKNPXIYPiJ641k3KHD02ETC\n"
		"OSHJK7zSFOxXoSWDCLsz+HYKkv+elRPk+1GDiuj1ihHxI9KVmlcKDWge+dEQRVuy\n"
		"saMtNGPhNw+DsYQrOvS6Sq/iLQKBgQDnIrJlvoOJIkf6vDSJx1cD690UI/Av6Snl\n"
		"+Cn4olOCCYPMOYWZyG+UzrSEq4vkLwkZwmUbKePOsbfYLRncFPuuPm2uIiXZVaNp\n"
		"3lp+if7hDtPUnunAvrh/KhxECbZVxUuQRoVf3y9T1JpIR/N5fUQlvsEEyl+syL04\n"
		"69OQrvOPsQKBgD3wWQHW9hMaIuIUg3f1kHKibCfytGGttbYF5//SeVjBpNswaPYM\n"
		"wG0M1+yxp3i2BjAcl7zt10MQTQTsBlWWrp+KvmD4RG27tFsDfklWs+GjU+ZLLeic\n"
		"NCsRmAjHVE8+ptCEaaJbxcE0EWustevCbSEMoex8/JSxPR5J+JFDfbhtAoGBAMjm\n"
		"e7G7+pDD31StKe1n+tZJuQu8gRTj0as2HSUj0voAUzK7/MhCU9pAIOAAS8O2rm5Z\n"
		"bZBCxOPvzSB1czi8dFZrpOHqhIN30GZBAt9iCsyMGsuApSUHoU3GyHLLDlVW++sX\n"
		"oO5IC9cNwFx7TcGXhBhayWLklGyWvwIu2OG1b7bBAoGAD2VdrK4JPInsKkALTkMd\n"
		"zsSk43M9xLpZWuKycICL3g+eKTZNfwgrN/bTKXMyllIsd62fFo7ZO1XRbL+nDUKP\n"
		"yVcDKyKMQ+mm5S0Je0QLOborygvrz2kfv3QFBYQKzxIC59S1q7FPMrs+cHxaLRIm\n"
		"bsOg8Ppo9g6zUL1diKKUkJo=\n"
		"-----END PRIVATE KEY-----\n"},
};

const char *testca_key(const char *kind)
{
	for (size_t i = 0; i < countof(keys); i++)
		if (strcmp(keys[i].kind, kind) == 0)
			return keys[i].pem;
	return "";
}
