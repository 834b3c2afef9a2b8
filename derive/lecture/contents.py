"""The lecture statement by statement: the ids of all that it says, in its order; claims must cover every one."""

STATEMENTS = (
    # section 1.1
    "sec1.1-gp-def",
    "sec1.1-prior",
    # section 1.2
    "sec1.2-noise-model",
    "sec1.2-joint",
    "sec1.2-predictive",
    # section 1.3
    "eq1",
    "sec1.3-joint",
    "sec1.3-joint-renamed",
    "eq2",
    "eq3",
    "sec1.3-no-integration",
    # everywhere
    "sec0-notation",
    # section 2
    "eq4",
    "eq5",
    "eq6",
    "eq7",
    "eq8",
    "eq8-push-through",
    # section 2.1
    "eq9",
    "sec2.1-dodge",
    # section 3.1
    "eq10",
    "eq10-iid-k",
    # section 3.2
    "eq11",
    "eq11-reparam",
    # section 3.3
    "eq12",
    "eq13",
    "eq14",
    # section 3.3.1
    "eq15",
    "eq16",
    "eq17",
    "eq18",
    "eq19",
    # section 3.3.2
    "eq20",
    "sec3.3.2-distribution",
    # section 3.4
    "eq21",
    "eq22",
    "eq23",
    # section 3.4.1
    "sec3.4.1-zero-cov",
    "sec3.4.1-base",
    "sec3.4.1-hypothesis",
    "eq24",
    "sec3.4.1-independence",
    "sec3.4.1-implies-lower",
    # section 3.4.2
    "eq25-mean",
    "eq25",
    "sec3.4.2-bounded",
    "sec3.4.2-summands-iid",
    "eq26",
    "sec3.4.2-unknown-law",
    # section 3.4.3
    "sec3.4.3-title",
    "eq27",
    "eq28",
    "sec3.4.3-diag-known",
    "eq29-lead",
    "eq29",
    "sec3.4.3-bias-offdiag",
    "eq30",
    # section 3.4.4
    "eq31",
    "eq32",
    "eq33",
    "eq34",
    # section 4.1
    "eq35",
    "eq36",
    "eq36-structure",
    # section 4.2
    "eq37",
    "sec4.2-name",
    # section 4.3
    "eq38-nngp",
    "eq38",
    "sec4.3-reparam",
    "eq39",
    # section 4.4.2
    "eq40",
    "sec4.4-equal-not-limit",
    "eq41",
    "eq42",
    # section 4.5
    "eq43",
    "eq44",
    "sec4.5-only-row-k",
    "sec4.5-grad-prose",
    "sec4.5-outer",
    "eq45",
    # section 4.5.1
    "eq46",
    # section 4.6
    "eq47",
    "eq48",
    # section 4.6.2
    "eq49",
    "eq50",
    "eq51",
    "sec4.6.2-not-independent",
    "eq52-exact",
    "eq52",
    "sec4.6.2-lln",
    "eq53",
    "eq54",
    "eq55",
    "eq56",
    "eq57",
    "eq58",
    "sec4.6.2-not-recursion",
    "sec4.6.2-scalar",
    # section 4.6.3
    "sec4.6.3-title",
    "eq59",
    "eq60",
    "eq61",
    # section 4.6.4
    "eq62",
    "sec4.6.4-ref",
    "eq63",
    # section 4.6.5
    "sec4.6.5-kdot-zero",
    # section 4.4-4.6
    "sec4-width-order",
    # section 5.1
    "eq64",
    "sec5.1-constants",
    # section 5.1.1
    "eq65",
    "eq65-linear-grad",
    "sec5.1.1-only-X",
    # section 5.1.2
    "sec5.1.2-dim",
    "eq66",
    "eq67",
    # section 5.1.3
    "eq68",
    "eq69",
    # section 5.1.4
    "eq70",
    "eq71",
    "eq71a",
    "eq71b",
    "eq71c",
    "eq72",
    "eq73",
    "eq73a",
    "eq74",
    # section 5.2
    "sec5.2-mean",
    "sec5.2-moments",
    "sec5.2-limits",
    "sec5.2-var",
    # section 5.2.1
    "sec5.2.1-model",
    "eq75",
    "eq76",
    "eq77",
    "eq78",
    "eq79",
    "eq80",
    "sec5.2.1-compare",
    # section 5.3
    "eq81-f",
    "eq81-theta",
    "eq81-Theta",
    "sec5.3-needs-proof",
)
