"""Query parameters that tell a publisher where a reader came from. They are no part of a canonical URL.

The rule for this list: **a parameter is stripped only if no site is known that chooses a page by it.** Never stripped
are names that sites use for pages as well: `id`, `p`, `v`, `q`, `s`, `t`, `page`, `ref`, `source`, `partner`, `cid`,
`amp`, `edition`, `lang`, and parameters without a known service. Two URLs of one page are a lesser fault than one URL
for two pages: aliases connect the former, nothing separates the latter.

The list is our own. The libraries with such lists (the rules of ClearURLs) also strip `ref` and the like, and the
canonical URL is the identity of stored articles, so the list must not change with a library's version. After a change
here, raise `PIPELINE_VERSION`.
"""

from __future__ import annotations

import re

_BY_SERVICE = {
    "Google Ads": "gclid gclsrc dclid gbraid wbraid gad_source gad_campaignid",
    "Google Analytics": "_ga _gl",
    "Google Merchant Center": "srsltid",
    "Facebook": "fbclid fb_action_ids fb_action_types fb_source fb_ref mibextid",
    "Instagram": "igshid igsh",
    "Twitter": "twclid __twitter_impression ref_src ref_url",
    "TikTok, Snapchat, Pinterest": "ttclid sccid epik",
    "LinkedIn": "li_fat_id lipi trk trkcampaign trkemail",
    "Microsoft": "msclkid ocid cvid wt.mc_id",
    "Yandex": "yclid ymclid _openstat",
    "Yahoo": "guccounter guce_referrer guce_referrer_sig soc_src soc_trk ncid tsrc",
    "Adobe": "s_cid s_kwcid ef_id icid intcid cmpid",
    "AT Internet, comScore": "xtor xtref ns_mchannel ns_source ns_campaign ns_linkname ns_fee",
    "Outbrain, Taboola": "dicbo obclick_id tblci",
    "Mailchimp": "mc_cid mc_eid",
    "HubSpot": "_hsenc _hsmi __hstc __hssc __hsfp hsctatracking",
    "Marketo, Eloqua, Klaviyo": "mkt_tok elqtrackid elqtrack elqcampaignid elqaid elqat _ke",
    "Vero, Omeda, dotdigital": "vero_id vero_conv oly_enc_id oly_anon_id dm_i",
    "MailerLite, ConvertKit": "ml_subscriber ml_subscriber_hash ck_subscriber_id",
    "Branch, Impact, CJ, Awin": "_branch_match_id _branch_referrer irclickid cjevent awc",
    "Alibaba": "spm",
    "The New York Times": "smid smtyp",
    "The Guardian": "cmp",
    "Reuters": "feedtype feedname",
    "CBS Interactive, Conde Nast": "ftag mbid",
}
TRACKING = {name: service for service, names in _BY_SERVICE.items() for name in names.split()}
"""Parameters that never choose a page, in lower case, and the service that adds each."""

PREFIXES = {
    "utm_": "Urchin, Google Analytics",
    "at_": "AT Internet",
    "itm_": "internal campaigns",
    "pk_": "Piwik",
    "mtm_": "Matomo",
    "hsa_": "HubSpot Ads",
}
"""Beginnings of such parameters, and their services."""

ALONE = {"mod": "Dow Jones; forums choose a page with `forum.php?mod=viewthread&tid=7`"}
"""Parameters that some sites use to choose a page, but only on a script or beside other parameters. They are stripped
where they are the only one and the path is not that of a script."""

_PREFIX = re.compile("|".join(map(re.escape, PREFIXES)))
_SCRIPT = re.compile(r"\.(?:php|aspx?|jsp|cgi|cfm|pl)$|^/$", re.IGNORECASE)


def is_tracking(name: str) -> bool:
    """Return whether a parameter is a part of no canonical URL. `name` is in lower case."""
    return name in TRACKING or _PREFIX.match(name) is not None


def is_tracking_alone(name: str, path: str) -> bool:
    """Return whether a parameter in lower case, the only one of a URL with this path, does not choose a page."""
    return name in ALONE and _SCRIPT.search(path) is None


__all__ = ["ALONE", "PREFIXES", "TRACKING", "is_tracking", "is_tracking_alone"]
