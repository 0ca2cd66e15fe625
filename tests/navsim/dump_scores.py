def metric_cache(*a):
    return {}


def scores(*a):
    return {}


def script_csv(*a):
    return {}
